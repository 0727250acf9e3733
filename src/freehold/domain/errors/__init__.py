"""Every error a user can meet. One family a file; the class docstring is message and page.

FreeholdError
├── RequestError    FH-REQUEST-*   what the client sent
├── AuthError       FH-AUTH-*      who the client is
├── PlannerError    FH-PLANNER-*   what a model needs, and what owning costs
├── PolicyError     FH-POLICY-*    where the text may go
├── DetectError     FH-DETECT-*    looking for personal data
├── ReleaseError    FH-RELEASE-*   ways down that somebody approves
├── ApprovalError   FH-UNTRUSTED-* somebody else's words, and calls of tools that wait for a human
├── AdmissionError  FH-ADMIT-*     whether there is room
├── LimitError      FH-LIMIT-*     whether a caller may use more
├── EngineError     FH-ENGINE-*    a local engine of ours
├── UpstreamError   FH-UPSTREAM-*  a server that we call
├── ModelError      FH-MODEL-*     pulling, verifying, fitting a model
├── ConfigError     FH-CONFIG-*    freehold.toml
├── FileError       FH-FILE-*      files that clients give
├── BatchError      FH-BATCH-*     many requests in one
├── AuditError      FH-AUDIT-*     the proof
├── EvalsError      FH-EVALS-*     asking questions with known answers
├── FeedbackError   FH-FEEDBACK-*  learning from answers
├── ReplayError     FH-REPLAY-*    recorded outcomes
├── VaultError      FH-VAULT-*     private documents
└── ServerError     FH-SERVER-*    starting and running the gateway
"""

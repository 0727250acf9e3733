"""A local engine of ours."""

from freehold.domain.errors.base import FreeholdError


class EngineError(FreeholdError):
    """A local engine failed."""

    status = 503
    type = "engine_error"
    retryable = True


class EngineCrashed(EngineError):
    """The engine of {deployment} ended {how!s} while it answered. It is being restarted; send the request again.

    The engine runs in a child process of its own so that a crash never takes the gateway along. What was generated
    until then was sent; the stream ends with this error and without "[DONE]".
    """

    code = "FH-ENGINE-001"
    status = 502


class EngineNotReady(EngineError):
    """{deployment} is not ready: {detail!s}. Try again in {retry_s!s} s.

    Ready means that it generated one token, not that a port is open.
    """

    code = "FH-ENGINE-002"


class EngineStartFailed(EngineError):
    """The engine of {deployment} did not start: {reason!s}.

    "freehold doctor" checks the processor, the free memory and the model file.
    """

    code = "FH-ENGINE-003"
    retryable = False


class EngineRefused(EngineError):
    """The engine of {deployment} refused the request: {reason!s}.

    The engine's own words follow the colon.
    """

    code = "FH-ENGINE-004"
    status = 400
    type = "invalid_request_error"
    retryable = False


class EnginePackagesMissing(EngineStartFailed):
    """The engine of {deployment} needs packages that are not installed: {packages!s}. Install them with: {command!s}

    Models that embed and rerank are run by onnxruntime, which most installations have no use for.
    """

    code = "FH-ENGINE-015"


class ProcessorUnfit(EngineStartFailed):
    """The engine of {deployment} was not started: it is built for processors with {missing!s}, and this one has none. Set engine = "llama-server" and program to a llama-server built for this machine.

    Started all the same it would end at the first such instruction (signal 4) and say nothing. Inside a virtual machine
    the processor may have them and the hypervisor hide them: choose the host's processor model there. "freehold hardware"
    shows what this machine has.
    """

    code = "FH-ENGINE-026"


class DraftUnfit(EngineStartFailed):
    """The model {draft} cannot draft for {model}: {reason!s}. Choose a smaller model of the same family, or set speculation = "off".

    A draft model guesses tokens by their numbers, so that both models must have the same vocabulary. It is compared in
    the headers of the two files, before either is loaded.
    """

    code = "FH-ENGINE-027"


class AdapterInvalid(EngineStartFailed):
    """{path} is not a LoRA adapter that can be loaded: {reason!s}.

    Taken are adapters in GGUF, as llama.cpp's convert_lora_to_gguf.py writes them from a PEFT folder. The header is
    checked before the engine sees the file.
    """

    code = "FH-ENGINE-028"


class AdapterForeign(EngineStartFailed):
    """The adapter {path} was not made for {model}: {reason!s}.

    An adapter changes the weights of exactly the model it was trained on: architecture, names and sizes of the weights
    must be the same. Quantisation may differ.
    """

    code = "FH-ENGINE-029"


class AdapterChanged(EngineStartFailed):
    """The adapter {path} has the digest {found!s}, expected {expected!s}. It was not used.

    The configuration names the digest. If the file was exchanged on purpose, write the new digest there.
    """

    code = "FH-ENGINE-030"


class BenchPromptsUnreadable(EngineError):
    """{path} has no prompts to measure with: {reason!s}. Give a text file with prompts between lines of ---, or JSON lines with a member prompt or messages.

    Nothing was started. Prompts stay on this machine and are written nowhere.
    """

    code = "FH-ENGINE-031"
    status = 400
    retryable = False


class ModelFileChanged(EngineStartFailed):
    """The engine of {deployment} was not started: {path} is not the file that was checked: {reason!s}. Put that one back; a pulled model is fetched again with "freehold pull NAME --repair".

    The files of an engine are checked before each of its starts, also after a crash: what is loaded has to be what
    receipts name. A file of your own may be exchanged: a running server takes the new one over within seconds, once it is
    a whole model, and says in its log why where it does not. Until then the engine is tried again from time to time, so
    that a file that was put back is used without a restart. Exchange files by renaming a finished one over the old:
    a file that is written over in its place ends the engine that runs it.
    """

    code = "FH-ENGINE-032"
    retryable = True


class ModelUnvouched(EngineStartFailed):
    """The engine of {deployment} was not started: {reason!s}.

    Signatures are asked for before each start of an engine, also after a crash, by the keys that [models] trusted_keys
    names by then: a reload that takes a key away ends no engine that runs, and none starts by that key any more. It is
    tried again from time to time, so that a key or a signature that was added is enough, without a restart.
    """

    code = "FH-ENGINE-033"
    retryable = True

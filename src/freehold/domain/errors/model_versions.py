"""Versions of a model: switching, going back, comparing, signing, and moving them by hand."""

from freehold.domain.errors.model import ModelError


class VersionUnknown(ModelError):
    """{name} has no version {version!s} here. {known!s}

    "freehold models list" shows which versions of a model are kept. "freehold models pull NAME" fetches a newer one
    beside the one that serves.
    """

    code = "FH-MODEL-011"
    status = 404


class NoVersionBefore(ModelError):
    """{name} has no earlier version here to go back to.

    A switch keeps the version before it until "freehold models gc" is told to let go of that, too. What was never
    switched has none.
    """

    code = "FH-MODEL-012"
    status = 409


class ModelPinned(ModelError):
    """{name} is pinned to {digest!s} and was left as it is. "freehold models pin {name!s} --off" lets it be switched.

    A pin is somebody's word that this very file is to serve. No update, switch or rollback moves a pinned name.
    """

    code = "FH-MODEL-013"
    status = 409


class CanaryMissing(ModelError):
    """{name} was not switched: nobody has compared the new version with the one that serves. Run "freehold models canary {name!s}".

    A version takes a name over once it answered a set of questions no worse than the one that serves. With
    "--without-canary" it is taken on your word.
    """

    code = "FH-MODEL-014"
    status = 409


class CanaryFailed(ModelError):
    """{name} was not switched, the version before serves on: {reason!s}.

    The new version answered the questions measurably worse, too few of them to tell, or did not run at all.
    "freehold models canary NAME" shows the figures, and how many more questions would decide it.
    """

    code = "FH-MODEL-015"
    status = 409


class CanaryImpossible(ModelError):
    """The versions of {name} cannot be compared: {reason!s}.

    Both versions answer the same questions: those of a file, one JSON object a line with "id" and "prompt" and, where
    there is a known answer, "grade" and "answers"; or the questions of "freehold gold".
    """

    code = "FH-MODEL-016"


class SignatureWrong(ModelError):
    """{name} is not used: {reason!s}.

    Somebody whom the configuration trusts is said to have signed this, and has not signed this text. Fetch it again
    from where it comes from, and ask the one who signs.
    """

    code = "FH-MODEL-017"
    status = 403


class SignatureMissing(ModelError):
    """{name} is not used: nobody whom the configuration trusts has signed it. "freehold models sign" does, or [models] unsigned = "allow" does without.

    With keys in [models] trusted_keys only what one of them signed is given to an engine, unless the configuration
    says otherwise.
    """

    code = "FH-MODEL-018"
    status = 403


class AdapterUnsigned(SignatureMissing):
    """The adapter {path} is not used: only signed models are, and nobody can sign an adapter. Name its digest, adapter_digests = [{found}], or set [models] unsigned = "allow".

    With keys in [models] trusted_keys nothing gets to an engine that nobody vouched for. An adapter changes a model's
    weights and has no signature of its own; the digest that the configuration names stands for one.
    """

    code = "FH-MODEL-025"


class SigningKeyUnusable(ModelError):
    """The key {path} cannot be used: {reason!s}.

    A private key is one line that begins with PRIVATE+KEY+, in a file that its owner alone can read; "freehold models
    key NAME FILE" makes one. A public one reads NAME+ID+KEY.
    """

    code = "FH-MODEL-019"


class BundleInvalid(ModelError):
    """The bundle {path} was not taken: {reason!s}. Nothing of it was kept.

    A bundle is one archive whose first member says what follows, with digests. Everything is checked before anything
    is put in its place. Export it again, or copy it again.
    """

    code = "FH-MODEL-020"


class BundleExists(ModelError):
    """No bundle was made: {path} is there already. Choose another name, or replace it with --force.

    A file that is there is somebody's, and may be the only copy of a bundle. With --force it is replaced by one rename once
    the new one is whole; what fails before that leaves the old one as it was.
    """

    code = "FH-MODEL-030"
    status = 409


class BundleUnsigned(ModelError):
    """The bundle {path} was not taken: nobody whom you trust has signed it. Name the signer's key with --key, or say --unsigned.

    Digests inside a bundle tell a damaged one from a whole one; only a signature tells whose it is. Keys of
    [models] trusted_keys are trusted, too.
    """

    code = "FH-MODEL-021"
    status = 403


class ModelInUse(ModelError):
    """{name} is used by a running server: it was not removed. Take it from the configuration, or stop the server, and try again.

    A file that an engine has open would be read again when the engine starts anew, and would not be there.
    """

    code = "FH-MODEL-023"
    status = 409


class ModelsUnreadable(ModelError):
    """The models in {folder!s} cannot be read or changed: {reason!s}. Run this as the user whom they belong to.

    Models are kept for one user; nobody else reads their list. FREEHOLD_HOME names another data folder.
    """

    code = "FH-MODEL-024"
    status = 500


class BundleImpossible(ModelError):
    """No bundle was made: {reason!s}.

    A bundle holds models of this machine, the programs that run here as wheels, their licences and a list of both.
    """

    code = "FH-MODEL-022"

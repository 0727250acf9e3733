"""Private documents."""

from freehold.domain.errors.base import FreeholdError


class VaultError(FreeholdError):
    """The vault cannot do that."""

    status = 400
    type = "invalid_request_error"


class VaultUnknown(VaultError):
    """There is no vault {vault} for tenant {tenant}. There is: {known!s}. Name one of those, or add [vaults.{vault!s}] to the configuration.

    A vault of another tenant is told as one that is not there.
    """

    code = "FH-VAULT-001"
    status = 404


class VaultNeedsExtra(VaultError):
    """The vault lacks what is not installed: {missing!s}. Install it with: pip install "freehold[{extra!s}]"

    The vault's store, parsers and embedders are an extra, since a gateway without documents needs none of them.
    """

    code = "FH-VAULT-002"
    status = 501


class VaultKeyWrong(VaultError):
    """The vault {path!s} doesn't open with its key ({key!s}), or is no vault. Put back the key that it was made with, or restore the file from a backup; without its key a vault can't be read.

    An encrypted file with another key, and a file that was never a vault, look the same.
    """

    code = "FH-VAULT-010"
    status = 500


class VaultOfNewerVersion(VaultError):
    """The vault {path!s} was written by a newer Freehold: its schema is {found!s}, and this version knows {known!s}. Update Freehold, or restore the vault from a backup of before.

    A schema is changed by newer versions only, and never back: an older one could damage what it does not know.
    """

    code = "FH-VAULT-011"
    status = 500


class VaultOfAnotherModel(VaultError):
    """The vault {path!s} has vectors of {found} with {found_dimensions!s} dimensions, but {model} with {dimensions!s} is set. Set embedder to {found} again, or have all its vectors made anew: freehold add PATH

    Vectors of two models are never compared: their numbers mean different things.
    """

    code = "FH-VAULT-012"
    status = 500


class VaultDamaged(VaultError):
    """The vault {path!s} is damaged: {reason!s}. Restore it from a backup, or add its documents anew.

    Every page is authenticated: what was changed on the disk is told here, and is never taken for a document.
    """

    code = "FH-VAULT-013"
    status = 500


class VaultVectorsUnfit(VaultError):
    """{what!s} doesn't fit the vault's index: {reason!s}. Use the embedder that the vault was made with.

    Vectors have as many numbers as the model makes that the vault was made with.
    """

    code = "FH-VAULT-014"
    status = 500


class VaultBusy(VaultError):
    """The vault {path!s} is in use by another process for longer than {seconds!s} s. Try again, or stop what else has it open.

    Commands and a gateway may use a vault at once; each waits for the other's transaction, which is short.
    """

    code = "FH-VAULT-015"
    status = 503


class VaultUnwritable(VaultError):
    """The vault {path!s} can't be opened or written: {reason!s}. See whether its folder is there, may be written, and has room.

    Nothing that was reported done before is lost.
    """

    code = "FH-VAULT-016"
    status = 507


class VaultClosed(VaultError):
    """The vault {path!s} is closed. Open it again; nothing that was reported done is lost.

    A gateway closes its vaults when it stops.
    """

    code = "FH-VAULT-017"
    status = 503


class FileUnread(VaultError):
    """The file {name} was not read: {reason!s}.

    Base of all that can be wrong with one file. The others of the same run are read all the same, and the file is read
    again when it changes or is added anew.
    """

    code = "FH-VAULT-020"
    status = 422


class FileEncrypted(FileUnread):
    """The file {name} was not read: it is protected ({reason!s}). Save a copy of it without a password and add that.

    Passwords are never asked for or guessed.
    """

    code = "FH-VAULT-021"


class FileDamaged(FileUnread):
    """The file {name} was not read: it is damaged or cut short ({reason!s}). Open it in the program it is from, save it anew, and add that.

    Nothing of it was kept: half a document would answer as if it were the whole one.
    """

    code = "FH-VAULT-022"


class FileTooLarge(FileUnread):
    """The file {name} was not read: {reason!s}. Split it, or unpack it and add what is inside.

    Limits on bytes, pages, characters, and on what archives unpack to keep one file from taking this machine's memory.
    """

    code = "FH-VAULT-023"
    status = 413


class FileTooCostly(FileUnread):
    """The file {name} was not read: reading it took more than {reason!s}, and was stopped. Save it anew or as plain text, and add that.

    Files are read by a process with limits on memory and time. A file that needs more is damaged, was made to do harm, or is very large.
    """

    code = "FH-VAULT-024"


class FileKindUnknown(FileUnread):
    """The file {name} was not read: what it holds ({reason!s}) is no kind of document that the vault reads. Save it as PDF, an office format or text, and add that.

    What a file is, its content says; its name is a hint only.
    """

    code = "FH-VAULT-025"
    status = 415


class FileWithoutText(FileUnread):
    """The file {name} was not read: there is no text in it ({reason!s}).

    An empty file, or a picture in which no writing was found. Pictures and scanned pages are read where the extra
    ``ocr`` is installed.
    """

    code = "FH-VAULT-026"


class FileBroke(FileUnread):
    """The file {name} was not read: the process that read it ended ({reason!s}). Save it anew or as plain text, and add that.

    A parser gave up on it, or it was made to do harm. That process holds nothing of other files and finds no network; the next file is read by a fresh one.
    """

    code = "FH-VAULT-027"


class FileGone(FileUnread):
    """The file {name} was not read: {reason!s}. Look whether it is still there and may be read by the gateway's user.

    Only regular files are read: no pipes, devices or folders.
    """

    code = "FH-VAULT-028"
    status = 404


class FileParserDown(VaultError):
    """The parser does not run: {reason!s}. Nothing is wrong with the file; add it again later.

    The process that reads files could not be started.
    """

    code = "FH-VAULT-029"
    status = 503
    retryable = True


class VaultModelMissing(VaultError):
    """{purpose!s} needs the model {model}, which is not in {folder!s}. Fetch it with: freehold pull {model!s}

    Models are files that are pulled once and verified by digest; nothing is fetched while documents are read or searched.
    """

    code = "FH-VAULT-040"
    status = 409


class VaultModelFailed(VaultError):
    """The model {model} of the vault gave no answer: {reason!s}. What it needs is shown by: freehold doctor

    Models run in child processes of their own, which are started again after they end.
    """

    code = "FH-VAULT-041"
    status = 503
    retryable = True


class VaultModelUnfit(VaultError):
    """The vault cannot use {model} as {purpose!s}. It can use: {known!s}.

    Vectors and relevance come from models of the catalogue whose prefixes, windows and pooling are known.
    """

    code = "FH-VAULT-042"


class VaultRankerUnfit(VaultError):
    """The reranker {model} knows English only, and the question or a passage is in another language. The order without it stands.

    On other languages its order is worse than none.
    """

    code = "FH-VAULT-043"


class VaultSettingsInvalid(VaultError):
    """The search settings in {path} cannot be used: {reason!s}. Remove the file, or have it written anew: freehold vault tune QUESTIONS.jsonl

    "freehold vault tune" writes that file beside the vault's own.
    """

    code = "FH-VAULT-044"
    status = 500


class VaultQuestionsInvalid(VaultError):
    """Line {line!s} of {path} is no question: {reason!s}. Write one JSON object a line, with the members "question" and "relevant".

    "relevant" is a list that names the documents that answer, by "source" (the end of their path, or their
    title) or by "document" (their id), each with a "quote" or without; it is empty where no document answers.
    """

    code = "FH-VAULT-045"


class VaultComparedInvalid(VaultError):
    """{path} cannot be compared with: {reason!s}. Write one with: freehold vault test QUESTIONS.jsonl --save FILE

    Figures of other questions say nothing about these.
    """

    code = "FH-VAULT-046"


class VaultPathMissing(VaultError):
    """{path} cannot be added: {reason!s}. Name a file or a folder that this user may read.

    Nothing of it was taken in. A folder that is named in the configuration and is not there is not taken for emptied:
    its documents stay until ``freehold vault remove --gone`` erases them.
    """

    code = "FH-VAULT-050"


class VaultDocumentUnknown(VaultError):
    """There is no document {document} in the vault {vault}. "freehold vault list" shows those that there are.

    A document that may not be read is told as one that is not there.
    """

    code = "FH-VAULT-051"
    status = 404


class VaultNothingAdded(VaultError):
    """Nothing was added: of {files!s} files {failed!s} could not be read. "freehold vault list --failed" shows why.

    The vault is as it was, but for the lines that say so.
    """

    code = "FH-VAULT-052"


class VaultNothingAsked(VaultError):
    """There is no question for the vault {vault}: no message of the user has text. Send one, or leave out the vault.

    The last message of the user is what is looked for in the documents.
    """

    code = "FH-VAULT-060"


class VaultNoRoom(VaultError):
    """There is no room for passages of the vault {vault}: the conversation takes about {tokens!s} of the {context!s} tokens that the route's models read. Send a shorter one, or ask a route with a longer context.

    Passages are put before the last message of the user, in what the conversation and the answer leave of the context.
    """

    code = "FH-VAULT-061"


class VaultLate(VaultError):
    """The vault {vault} did not answer within {seconds!s} s. Ask again, or give requests more time with total_s under [deadlines] in freehold.toml.

    A search may take what a request may take in all. What was begun for it is given up.
    """

    code = "FH-VAULT-090"
    status = 504
    type = "api_error"
    retryable = True


class VaultChanged(VaultError):
    """Documents of the vault {vault} that were found for this request were changed, closed or removed before it was sent; nothing was sent. Ask again: then it is answered from what they are now.

    Before a prompt goes to a model, its documents are looked at once more: each must be what it was when it was found, be
    readable by who asks, and have no stricter label.
    """

    code = "FH-VAULT-091"
    status = 409
    retryable = True


class VaultsConfigured(VaultError):
    """Vaults are made in the configuration, not over the API. Add [vaults.NAME] to freehold.toml and start the gateway anew; then put documents into it.

    A vault is an encrypted file with a key, an embedder and folders of its own, which no client may choose.
    """

    code = "FH-VAULT-080"


class DocumentNotYours(VaultError):
    """You may read this document and not change it: it is {owner!s}. Have it done with its owner's key, or with one that has the scope manage too.

    A document that may not be read is answered as one that does not exist.
    """

    code = "FH-VAULT-081"
    status = 403
    type = "permission_error"


class DocumentOutOfSight(VaultError):
    """The document was not taken in: this key could not read it, since {reason!s}. Name a reader that it is, or add it with a key that has the scope manage too.

    What a key puts where it cannot see it, it could neither find nor remove again. A manager may, to fill a vault for
    others.
    """

    code = "FH-VAULT-082"
    status = 403
    type = "permission_error"


class VaultUploadsFull(VaultError):
    """The vault takes no more from clients: those of tenant {tenant} may keep {limit!s} bytes in it, {used!s} are used, and this document has {needed!s}. Remove documents that are not needed any more, or raise the vault's upload_bytes_max.

    What counts is what clients sent over the API, with what was inside of it; files that were added here, and those of
    folders, do not. Nothing of the document was kept, and what was there is as it was. How much is used is told to keys
    with the scope admin: it counts documents that others may not see.
    """

    code = "FH-VAULT-083"
    status = 413


class VaultKeyMissing(VaultError):
    """The key of the vault {vault} is missing: {file} is there, and {path} is not. Put the key back from a backup; without it the vault can't be read by anybody. To begin anew, move the vault's file away.

    No key is made for a file that has one already: it could open nothing, and would lie where yours belongs.
    """

    code = "FH-VAULT-084"
    status = 500


class VaultQuestionsMissing(VaultError):
    """The questions in {path} cannot be read: {reason!s}. Name a file of UTF-8 text with one JSON object a line.

    How questions are written: docs/how-to/vault-test.md, and "freehold vault test --help".
    """

    code = "FH-VAULT-085"

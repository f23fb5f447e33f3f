"""A model hub, as `huggingface_hub` speaks to it: what a repository holds, and the bytes of its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from httpx2 import InvalidURL, RequestError, UnsupportedProtocol
from huggingface_hub import HfApi, get_session, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # it is documented there

from hyperinfer import __version__
from hyperinfer.errors import (
    BackendFailed,
    BadRequest,
    ConfigError,
    Forbidden,
    HyperinferError,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from hyperinfer.workers.inference.hub.variants import HubFile

LIST_TIMEOUT_S = 30.0
SILENCE_S = 30.0
"""How long the hub may say nothing, at the beginning of a file or within it."""
PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which it is worth asking again."""
AGENT = f"hyperinfer/{__version__}"
"""All that the hub is told of us: neither the machine nor what is installed on it."""


class Cut(Exception):
    """The connection broke off, or the hub is busy; what has come is good, and the rest can be asked for again."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repository holds at a commit."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]


@dataclass(frozen=True, slots=True)
class Bytes:
    """A file as it comes, from the byte that the hub begins with: it may begin anew, whatever was asked."""

    begins_at: int
    pieces: Iterator[bytes]


class Hub:
    """A hub at an address, with somebody's token; what is left out is as the library finds it. Calls block."""

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._token = token or get_token()
        self._api = HfApi(endpoint=self._endpoint, token=self._token or False, headers={"user-agent": AGENT})

    def listing(self, repo: str, revision: str | None = None) -> Listing:
        """The files of a repository at a branch, tag or commit.

        Raises `NotFound`, `Unauthenticated`, `Forbidden`, `Unavailable`, or `BackendFailed` for what is no hub.
        """
        try:
            told = self._api.model_info(repo, revision=revision, files_metadata=True, timeout=LIST_TIMEOUT_S)
            found = [
                HubFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else "") for one in told.siblings or ()
            ]
        except OfflineModeIsEnabled as error:
            raise Unavailable("HF_HUB_OFFLINE is set: nothing is fetched from the hub.") from error
        except HfHubHTTPError as error:
            raise self._refusal(error, f"{repo} at {revision}" if revision else repo) from error
        except (InvalidURL, UnsupportedProtocol) as error:
            raise ConfigError("HF_ENDPOINT is no address of a hub.") from error
        except RequestError as error:
            raise Unavailable(
                f"The model hub, {self._api.endpoint}, cannot be reached ({type(error).__name__})."
            ) from error
        except HFValidationError as error:
            raise BadRequest(f"{repo} is no name of a repository.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BackendFailed("What answers in the hub's place is none: see HF_ENDPOINT.") from error
        if not told.sha:
            raise BackendFailed(f"The hub does not say at which commit {repo} is.")
        return Listing(repo, told.sha, tuple(found))

    @contextmanager
    def reading(self, listing: Listing, path: str, *, begin: int) -> Iterator[Bytes]:
        """A file's bytes from there on. Raises `Cut`, also within the block, and the refusals of `listing`."""
        # What the way would pack is unpacked on arrival, and then nobody can count what is left.
        headers = {"user-agent": AGENT, "accept-encoding": "identity"}
        if self._token:
            # The library leaves it behind on the way to another host.
            headers["authorization"] = f"Bearer {self._token}"
        if begin:
            headers["range"] = f"bytes={begin}-"
        url = hf_hub_url(listing.repo, path, revision=listing.commit, endpoint=self._endpoint)
        try:
            with get_session().stream("GET", url, headers=headers, timeout=SILENCE_S) as response:
                hf_raise_for_status(response)
                yield Bytes(begin if response.status_code == 206 else 0, response.iter_bytes())
        except HfHubHTTPError as error:
            if error.response.status_code in PASSING:
                raise Cut(f"status {error.response.status_code}") from error
            raise self._refusal(error, f"{listing.repo}/{path}") from error
        except RequestError as error:
            raise Cut(type(error).__name__) from error

    def _refusal(self, error: HfHubHTTPError, what: str) -> HyperinferError:
        status = error.response.status_code
        if isinstance(error, GatedRepoError):
            return Forbidden(
                f"{what} is given only to those who have accepted its terms: do so on its page, and set HF_TOKEN to your token."
            )
        if isinstance(error, RevisionNotFoundError | RemoteEntryNotFoundError):
            return NotFound(f"The hub has no {what}.")
        if isinstance(error, RepositoryNotFoundError) or status in {401, 404}:
            hint = (
                "nor does your token open one" if self._token else "or it is private: set HF_TOKEN to a token of yours"
            )
            kind = Unauthenticated if status == 401 and self._token else NotFound
            return kind(f"The hub shows no repository {what}, {hint}.")
        if status == 403:
            return Forbidden(f"The hub refuses {what} to you. Is your token (HF_TOKEN) meant for reading?")
        if status in PASSING:
            return Unavailable(f"The model hub is busy or ill (status {status}). Try again later.")
        return BackendFailed(f"The model hub refused {what} with status {status}.")

"""The bridge's settings. Times in seconds."""

from hyperinfer.kernel.settings import HttpSettings, WorkerSettings


class ClientSettings(WorkerSettings, frozen=True):
    """What a bridge can be told.

    `gateway` is the link of its gateway (`hyper://GATEWAYKEY`) or of its swarm (`hyper://swarm/SWARMKEY/ROOTKEY`); left out, any
    gateway of the swarm that this machine belongs to. `wait_s` is how long a request waits while none can be reached.
    `use_local_session` lends the credential of your profile to requests to models that bring none; anybody on this machine can
    then ask in your name.
    """

    http: HttpSettings = HttpSettings(first_port=3000)
    gateway: str = ""
    wait_s: float = 10.0
    request_timeout_s: float = 600.0
    use_local_session: bool = False

"""The caller's API keys: `/api/auth/api-keys`."""

from hyperinfer.contracts import people
from hyperinfer.edge.operations import Group, passing_on

PATH = "/api/auth/api-keys"
KEY = {"name": "ci", "scopes": ["inference"], "models": ["smollm2*"], "limits": {"requests_per_minute": 60}}

GROUP = Group(
    "API keys",
    (
        passing_on("GET", PATH, people.LIST_API_KEYS, "Your API keys, without their secrets", rows="keys"),
        passing_on(
            "POST",
            PATH,
            people.GENERATE_API_KEY,
            "Make an API key; its secret is shown this once",
            status=201,
            example=KEY,
        ),
        passing_on(
            "PATCH",
            PATH + "/{id}",
            people.UPDATE_API_KEY,
            "Change a key; what is left out stays",
            example={"name": "ci"},
        ),
        passing_on(
            "POST",
            PATH + "/{id}/rotate",
            people.ROTATE_API_KEY,
            "Give a key a new secret; the old one works on for overlap_s seconds",
            status=201,
            example={"overlap_s": 3600},
        ),
        passing_on("DELETE", PATH + "/{id}", people.REVOKE_API_KEY, "Revoke a key, at every gateway within seconds"),
    ),
)

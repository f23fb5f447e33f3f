"""What administrators do with people and models: `/api/admin/{users,invites,tiers,models}`."""

from hyperinfer.contracts import gateway, people
from hyperinfer.edge.operations import Group, passing_on

USERS = "/api/admin/users"
INVITES = "/api/admin/invites"
MODELS = "/api/admin/models"
LOAD_TIMEOUT_S = 600.0
"""How long loading a model may take; large ones are read from slow disks."""

GROUP = Group(
    "Administration",
    (
        passing_on("GET", USERS, people.LIST_ACCOUNTS, "Accounts by name", rows="accounts"),
        passing_on(
            "POST",
            USERS,
            people.CREATE_ACCOUNT,
            "Make an account; without a password, with a token to set one",
            status=201,
            example={"email": "ada@example.com", "tier": "premium"},
        ),
        passing_on("GET", USERS + "/{id}", people.SHOW_ACCOUNT, "One account"),
        passing_on(
            "PATCH",
            USERS + "/{id}",
            people.CHANGE_ACCOUNT,
            "Change an account's role, tier, limits, or whether it is active",
            example={"tier": "premium", "limits": {"tokens_per_day": 100000}},
        ),
        passing_on("DELETE", USERS + "/{id}", people.REMOVE_ACCOUNT, "Remove an account"),
        passing_on(
            "POST",
            USERS + "/{id}/reset",
            people.ISSUE_RESET,
            "Make a one-time token with which a person sets a new password",
            status=201,
        ),
        passing_on("GET", INVITES, people.LIST_PERSON_INVITES, "Invitations to register", rows="invites"),
        passing_on(
            "POST",
            INVITES,
            people.INVITE_PERSON,
            "Invite somebody to register; the code is shown this once",
            status=201,
            example={"email": "ada@example.com", "valid_s": 86400},
        ),
        passing_on("DELETE", INVITES + "/{id}", people.REVOKE_PERSON_INVITE, "Revoke an invitation"),
        passing_on("GET", "/api/admin/tiers", people.LIST_TIERS, "Tiers and what they limit", rows="tiers"),
        passing_on(
            "POST",
            MODELS + "/load",
            gateway.LOAD_MODEL,
            "Load a model, at one worker or at all that have it; answers once it is ready",
            example={"model": "smollm2-135m"},
            timeout_s=LOAD_TIMEOUT_S,
        ),
        passing_on(
            "POST",
            MODELS + "/unload",
            gateway.UNLOAD_MODEL,
            "Give a model's memory back, at one worker or at all that have it; what runs is let end",
            example={"model": "smollm2-135m"},
            timeout_s=LOAD_TIMEOUT_S,
        ),
    ),
)

"""The operator's guide with the generated Python client: each step prints one line, as in the other languages."""

import os
import pathlib
import ssl
from http import HTTPStatus
from typing import cast

from mastio_client import AuthenticatedClient, Client
from mastio_client.api.agents import (
    deactivate_agent,
    enrol_agent,
    enrol_agent_byoca,
    get_agent,
    list_agents,
    rotate_agent_certificate,
    rotate_agents,
    set_agent_hygiene,
    update_agent,
)
from mastio_client.api.audit import export_audit, get_audit_head
from mastio_client.api.health import get_health
from mastio_client.api.org_ca import get_org_ca, rotate_org_ca
from mastio_client.api.tokens import issue_token
from mastio_client.models import (
    AgentPage,
    AgentInFull,
    AgentPatch,
    AgentsHygiene,
    AuditHead,
    Enrolled,
    Enrolment,
    EnrolmentBYOCA,
    Forecast,
    Health,
    Hygiene,
    HygieneDeliver,
    OAuthError,
    OrgCA,
    OrgCAStatus,
    Problem,
    Rotated,
    RotateOrgCaMode,
    RotateOrgCaSource,
    RotationOfCertificate,
    RotationOfMany,
    State,
    Token,
    TokenRequest,
)

URL = os.environ["MASTIO_URL"]
FOLDER = pathlib.Path(os.environ["FOLDER"])
CA = os.environ["MASTIO_CA"]
NAME = "kyc-screener"

operator = AuthenticatedClient(
    URL,
    token=os.environ["MASTIO_ADMIN_SECRET"],
    prefix="",
    auth_header_name="X-Admin-Secret",
    verify_ssl=ssl.create_default_context(cafile=CA),
)


def agent(cert: str, key: str) -> AuthenticatedClient:
    """A client that shows a certificate. The generator has no class for mutual TLS, and asks for the one with a token."""
    cert_file, key_file = FOLDER / "cert.pem", FOLDER / "key.pem"
    cert_file.write_text(cert)
    key_file.write_text(key)
    context = ssl.create_default_context(cafile=CA)
    context.load_cert_chain(cert_file, key_file)
    return cast(AuthenticatedClient, Client(URL, verify_ssl=context))


def token(client: AuthenticatedClient) -> str:
    """What a token request comes to."""
    answer = issue_token.sync_detailed(client=client, body=TokenRequest(grant_type="client_credentials"))
    if isinstance(answer.parsed, Token):
        return f"{answer.status_code.value} {answer.parsed.token_type.value} {answer.parsed.scope}"
    assert isinstance(answer.parsed, OAuthError), answer.content
    return f"{answer.status_code.value} {answer.parsed.error}"


health = get_health.sync(client=operator)
assert isinstance(health, Health)
print("health:", health.status, health.org_id, "generation", health.generation)

enrolled = enrol_agent.sync(client=operator, body=Enrolment(agent_name=NAME, capabilities=["kyc:read"]))
assert isinstance(enrolled, Enrolled) and isinstance(enrolled.key_pem, str)
print("enrolled:", enrolled.agent_id, "private key", "PRIVATE KEY" in enrolled.key_pem)

again = enrol_agent.sync_detailed(client=operator, body=Enrolment(agent_name=NAME))
assert isinstance(again.parsed, Problem)
print("enrolled again:", again.status_code.value, again.parsed.code)

old = agent(enrolled.cert_pem, enrolled.key_pem)
print("token:", token(old))

rotated = rotate_agent_certificate.sync(
    enrolled.agent_id, client=operator, body=RotationOfCertificate(reason="keyCompromise")
)
assert isinstance(rotated, Rotated) and isinstance(rotated.key_pem, str)
print("rotated:", rotated.agent_id, "replaces", rotated.previous_thumbprint == enrolled.cert_thumbprint)
print("token, old certificate:", token(old))
new = agent(rotated.cert_pem, rotated.key_pem)
print("token, new certificate:", token(new))

page = list_agents.sync(client=operator, q="screener")
assert isinstance(page, AgentPage)
print("listed:", ", ".join(f"{a.agent_id} {a.method.value} {a.status.value}" for a in page.agents))

changed = update_agent.sync(enrolled.agent_id, client=operator, body=AgentPatch(owner="team-kyc@example.com"))
assert isinstance(changed, AgentInFull)
print("owner:", changed.owner)

hygiene = set_agent_hygiene.sync(
    enrolled.agent_id, client=operator, body=Hygiene(deliver=HygieneDeliver.SECRETSMANAGER)
)
assert isinstance(hygiene, AgentsHygiene)
print("hygiene:", hygiene.hygiene.deliver.value)

forecast = rotate_agents.sync(client=operator, body=RotationOfMany(dry_run=True, all_=True))
assert isinstance(forecast, Forecast)
print("a job would re-issue:", forecast.reissue)

foreign = enrol_agent_byoca.sync_detailed(
    client=operator, body=EnrolmentBYOCA(agent_name="foreign", cert_pem="no certificate")
)
assert isinstance(foreign.parsed, Problem)
print("foreign certificate:", foreign.status_code.value, foreign.parsed.code)

staged = rotate_org_ca.sync(client=operator, mode=RotateOrgCaMode.STAGE, source=RotateOrgCaSource.MINT)
assert isinstance(staged, OrgCA) and isinstance(staged.status, State)
print("staged:", staged.status.value)
current = rotate_org_ca.sync(
    client=operator, mode=RotateOrgCaMode.COMMIT, fingerprint=staged.fingerprint, overlap=3600
)
assert isinstance(current, OrgCA)
print("committed:", current.fingerprint == staged.fingerprint, "generation", current.generation)
status = get_org_ca.sync(client=operator)
assert isinstance(status, OrgCAStatus) and status.progress is not None
print("the fleet:", status.progress.remaining, "of", status.progress.agents, "remain")
print("token in the overlap:", token(new))

head = get_audit_head.sync(client=operator, subject=enrolled.agent_id)
assert isinstance(head, AuditHead)
rows = export_audit.sync(client=operator, subject=enrolled.agent_id)
assert isinstance(rows, str)
print("audit rows:", head.seq == rows.count("\n"), "rotation", '"agent.cert_rotated"' in rows)

ended = deactivate_agent.sync_detailed(enrolled.agent_id, client=operator)
assert ended.status_code == HTTPStatus.NO_CONTENT
print("deactivated:", ended.status_code.value)
print("token, deactivated:", token(new))
shown = get_agent.sync(enrolled.agent_id, client=operator)
assert isinstance(shown, AgentInFull)
print("status:", shown.status.value)

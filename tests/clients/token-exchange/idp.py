"""An identity provider that exchanges tokens (RFC 8693), and an API that takes none but its own: its address is what it prints.

The protocol is idpyoidc's, an OpenID Connect provider that others run: who the client is, what a request has to say and what
comes back is its word. Around it are two things that tests need: `GET /login?user=…` is a user's token for Letterhead, and
`GET /orders` an API that verifies what it is sent and says whose it is. `GET /seen` tells what came to either.
"""

import json
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from cryptojwt.jwt import JWT
from idpyoidc.message.oauth2 import AuthorizationRequest
from idpyoidc.server import Server
from idpyoidc.server.authn_event import create_authn_event
from idpyoidc.server.authz import AuthzHandling
from idpyoidc.server.client_authn import verify_client
from idpyoidc.server.configure import ASConfiguration
from idpyoidc.server.exception import UnAuthorizedClient
from idpyoidc.server.oauth2.token_helper import validate_token_exchange_policy
from idpyoidc.server.user_info import UserInfo

LISTENER = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
PORT = LISTENER.server_port
ISSUER = f"http://127.0.0.1:{PORT}"
FOLDER = tempfile.mkdtemp(prefix="letterhead-idp-")
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
# It does not decode what is in `Authorization: Basic`, as RFC 6749 has it: only plain characters are the same either way.
CLIENTS = {"by-basic": ("client_secret_basic", "Curlew-1"), "by:post": ("client_secret_post", "s: Curlew/1+%&=")}
CRYPT_KEYS = [{"type": "OCT", "use": ["enc"], "kid": kid} for kid in ("password", "salt")]
CRYPT = {"kwargs": {"keys": {"key_defs": CRYPT_KEYS}, "iterations": 1}}
KEYS = [{"type": "EC", "crv": "P-256", "use": ["sig"]}, {"type": "RSA", "key": "", "use": ["sig"]}]
SEEN = []


def provider():
    """The provider, with the client that Letterhead is, and the application that users log in to."""
    token = {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": {"lifetime": 300, "aud": ["letterhead"]}}
    configuration = {
        "issuer": ISSUER,
        "httpc_params": {"verify": False, "timeout": 1},
        "preference": {"subject_types_supported": ["public"]},
        "keys": {"uri_path": "jwks", "key_defs": KEYS},
        "endpoint": {
            "authorization": {
                "path": "authorization",
                "class": "idpyoidc.server.oauth2.authorization.Authorization",
                "kwargs": {},
            },
            "token": {
                "path": "token",
                "class": "idpyoidc.server.oidc.token.Token",
                "kwargs": {
                    "client_authn_method": ["client_secret_basic", "client_secret_post"],
                    "grant_types_helpers": {
                        GRANT: {
                            "class": "idpyoidc.server.oauth2.token_helper.token_exchange.TokenExchangeHelper",
                            "kwargs": {
                                "requested_token_types_supported": ["urn:ietf:params:oauth:token-type:access_token"],
                                "default_requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                                "policy": {"": {"function": validate_token_exchange_policy, "kwargs": {"audience": ["orders"]}}},
                            },
                        },
                    },
                },
            },
        },
        "authentication": {
            "anon": {"acr": "anon", "class": "idpyoidc.server.user_authn.user.NoAuthn", "kwargs": {"user": "nobody"}}
        },
        "userinfo": {"class": UserInfo, "kwargs": {"db": {}}},
        "client_authn": verify_client,
        "authz": {
            "class": AuthzHandling,
            "kwargs": {
                "grant_config": {
                    "usage_rules": {"access_token": {"supports_minting": ["access_token"], "expires_in": 300}},
                    "expires_in": 43200,
                }
            },
        },
        "token_handler_args": {
            "code": {"lifetime": 600, "kwargs": {"crypt_conf": CRYPT}},
            "token": token,
        },
        "session_params": {"encrypter": CRYPT},
    }
    server = Server(ASConfiguration(conf=configuration, base_path=FOLDER), cwd=FOLDER)
    server.context.map_supported_to_preferred()
    common = {
        "redirect_uris": [("https://app.example.com/cb", None)],
        "client_salt": "salt",
        "response_types": ["code"],
        "allowed_scopes": ["openid", "orders:read"],
    }
    server.context.cdb["letterhead"] = {"client_secret": "of the application", **common}
    for client, (method, secret) in CLIENTS.items():
        server.context.cdb[client] = {
            "client_secret": secret,
            "token_endpoint_auth_method": method,
            "grant_types_supported": [GRANT],
            **common,
        }
    return server


SERVER = provider()
TOKEN = SERVER.get_endpoint("token")


def login(user):
    """An access token of a user, as the application gets it."""
    context, manager = SERVER.context, SERVER.context.session_manager
    request = AuthorizationRequest(
        client_id="letterhead",
        redirect_uri="https://app.example.com/cb",
        scope=["openid", "orders:read"],
        state="s",
        response_type="code",
    )
    session = manager.create_session(create_authn_event(user), request, user, client_id="letterhead", sub_type="public")
    grant = context.authz(session, request)
    token = grant.mint_token(
        session_id=session,
        context=context,
        token_class="access_token",
        token_handler=manager.token_handler["access_token"],
        usage_rules=grant.usage_rules["access_token"],
    )
    return token.value


class Handler(BaseHTTPRequestHandler):
    """The provider's endpoints, and the API."""

    def do_POST(self):
        """`POST /token`: what idpyoidc says of it."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            request = TOKEN.parse_request(body, {"headers": headers})
        except UnAuthorizedClient:
            return self.answer(401, {"error": "invalid_client"})
        response = request if "error" in request else TOKEN.process_request(request=request)
        arguments = response.get("response_args", response)
        arguments = arguments.to_dict() if hasattr(arguments, "to_dict") else dict(arguments)
        SEEN.append({"form": parse_qs(body), "client": request.get("client_id"), "error": arguments.get("error")})
        return self.answer(400 if "error" in arguments else 200, arguments)

    def do_GET(self):
        """The keys; a login; the API; what was seen."""
        url = urlsplit(self.path)
        if url.path == "/jwks":
            self.answer(200, SERVER.keyjar.export_jwks())
        elif url.path == "/login":
            self.answer(200, login(parse_qs(url.query)["user"][0]))
        elif url.path == "/seen":
            self.answer(200, SEEN)
        else:
            self.orders()

    def orders(self):
        """Whose token it is, if it is one that was exchanged for this API."""
        shown = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        try:
            claims = JWT(SERVER.keyjar, iss=ISSUER, allowed_sign_algs=["RS256", "ES256"]).unpack(shown)
        except Exception as error:  # What is wrong with a token has many types.
            return self.answer(401, {"error": type(error).__name__})
        # It puts no audience into what it exchanges, but the client that it was exchanged for.
        good = claims["client_id"] in CLIENTS and "orders:read" in claims["scope"].split()
        return self.answer(200 if good else 403, {"sub": claims["sub"], "state": "shipped"} if good else {})

    def answer(self, status, body):
        """Sends JSON."""
        data = json.dumps(body, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Says nothing of each request."""


if __name__ == "__main__":
    LISTENER.RequestHandlerClass = Handler
    print(ISSUER, flush=True)
    LISTENER.serve_forever()

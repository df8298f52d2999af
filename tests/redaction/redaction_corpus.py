"""A corpus of invented secrets in the forms that services use, and of harmless texts."""

from __future__ import annotations

import base64
import json
import random
import string
from hashlib import md5, sha1, sha256
from uuid import UUID

WORD = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
URL = WORD + "-_"
HEX = "0123456789abcdef"


class Maker(random.Random):
    """A generator of random strings that are the same in each run."""

    def text(self, alphabet: str, length: int) -> str:
        """Return a string that begins and ends with a letter and contains a digit."""
        inner = "".join(self.choice(alphabet) for _ in range(length - 3))
        return f"a{inner}7a" if "a" in alphabet else f"A{inner}7A"

    def hex(self, length: int) -> str:
        """Return a string of hex digits."""
        return self.text(HEX, length)

    def base64(self, length: int) -> str:
        """Return random bytes in Base64."""
        return base64.b64encode(self.randbytes(length)).decode()


KINDS = {
    "openai project": lambda m: f"sk-proj-{m.text(URL, 74)}T3BlbkFJ{m.text(URL, 74)}",
    "openai service": lambda m: f"sk-svcacct-{m.text(URL, 74)}T3BlbkFJ{m.text(URL, 74)}",
    "openai admin": lambda m: f"sk-admin-{m.text(URL, 58)}T3BlbkFJ{m.text(URL, 58)}",
    "openai user": lambda m: f"sk-{m.text(WORD, 20)}T3BlbkFJ{m.text(WORD, 20)}",
    "deepseek": lambda m: f"sk-{m.hex(32)}",
    "anthropic": lambda m: f"sk-ant-api03-{m.text(URL, 93)}AA",
    "anthropic admin": lambda m: f"sk-ant-admin01-{m.text(URL, 93)}AA",
    "openrouter": lambda m: f"sk-or-v1-{m.hex(64)}",
    "google": lambda m: f"AIzaSy{m.text(URL, 33)}",
    "google oauth secret": lambda m: f"GOCSPX-{m.text(URL, 28)}",
    "google oauth token": lambda m: f"ya29.{m.text(URL, 120)}",
    "groq": lambda m: f"gsk_{m.text(WORD, 52)}",
    "xai": lambda m: f"xai-{m.text(WORD, 80)}",
    "perplexity": lambda m: f"pplx-{m.text(WORD, 48)}",
    "replicate": lambda m: f"r8_{m.text(WORD, 37)}",
    "nvidia": lambda m: f"nvapi-{m.text(URL, 64)}",
    "hugging face": lambda m: f"hf_{m.text(WORD, 34)}",
    "langsmith": lambda m: f"lsv2_pt_{m.hex(32)}_{m.hex(10)}",
    "pinecone": lambda m: f"pcsk_{m.text(WORD, 6)}_{m.text(WORD, 63)}",
    "aws": lambda m: f"AKIA{m.text(UPPER, 16)}",
    "aws session": lambda m: f"ASIA{m.text(UPPER, 16)}",
    "aws secret": lambda m: f"aws_secret_access_key = {m.text(WORD + '/+', 40)}",
    "bedrock": lambda m: f"ABSK{m.text(WORD, 128)}",
    "azure": lambda m: f"{m.text(WORD, 52)}JQQJ99{m.text(WORD, 26)}",
    "azure storage": lambda m: f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={m.base64(64)};",
    "github": lambda m: f"ghp_{m.text(WORD, 36)}",
    "github app": lambda m: f"ghs_{m.text(WORD, 36)}",
    "github fine-grained": lambda m: f"github_pat_{m.text(WORD, 22)}_{m.text(WORD, 59)}",
    "gitlab": lambda m: f"glpat-{m.text(URL, 20)}",
    "npm": lambda m: f"npm_{m.text(WORD, 36)}",
    "pypi": lambda m: f"pypi-AgEIcHl{m.text(URL, 90)}",
    "slack bot": lambda m: (
        f"xoxb-{m.randrange(10**11, 10**12)}-{m.randrange(10**12, 10**13)}-{m.text(WORD, 24)}"
    ),
    "slack webhook": lambda m: (
        f"https://hooks.slack.com/services/T{m.text(UPPER, 8)}/B{m.text(UPPER, 8)}/{m.text(WORD, 24)}"
    ),
    "stripe": lambda m: f"sk_live_{m.text(WORD, 24)}",
    "stripe webhook": lambda m: f"whsec_{m.text(WORD, 32)}",
    "sendgrid": lambda m: f"SG.{m.text(URL, 22)}.{m.text(URL, 43)}",
    "telegram": lambda m: f"{m.randrange(10**9, 10**10)}:AA{m.text(URL, 33)}",
    "discord": lambda m: f"MT{m.text(WORD, 24)}.{m.text(URL, 6)}.{m.text(URL, 38)}",
    "digitalocean": lambda m: f"dop_v1_{m.hex(64)}",
    "databricks": lambda m: f"dapi{m.hex(32)}",
    "vault": lambda m: f"hvs.{m.text(URL, 95)}",
    "docker": lambda m: f"dckr_pat_{m.text(URL, 27)}",
    "notion": lambda m: f"ntn_{m.text(WORD, 46)}",
    "private key": lambda m: (
        f"-----BEGIN RSA PRIVATE KEY-----\n{m.base64(600)}\n-----END RSA PRIVATE KEY-----"
    ),
    "json web token": lambda m: ".".join(
        [
            base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("="),
            base64.urlsafe_b64encode(b'{"sub":"%d"}' % m.randrange(10**9)).decode().rstrip("="),
            m.text(URL, 43),
        ]
    ),
    "bearer": lambda m: f"Authorization: Bearer {m.text(URL, 40)}",
    "basic": lambda m: f"Authorization: Basic {base64.b64encode(f'ada:{m.hex(12)}'.encode()).decode()}",
    "cookie": lambda m: f"Cookie: theme=dark; session={m.hex(32)}",
    "password in an address": lambda m: f"postgresql://shop:{m.text(WORD, 14)}@db.internal:5432/shop",
    "variable": lambda m: f"export MISTRAL_API_KEY={m.text(WORD, 32)}",
}
"""Fifty kinds of secrets, each as it appears in text."""


def secrets() -> list[tuple[str, str, str]]:
    """Return two hundred secrets: the kind, a text that contains it, and the part that must not be on disk."""
    maker = Maker(7)
    made = []
    for kind, make in KINDS.items():
        for _ in range(4):
            text = make(maker)
            made.append((kind, text, _core(kind, text)))
    return made


def _core(kind: str, text: str) -> str:
    if kind == "private key":
        return text.split("\n")[1]
    if kind == "azure storage":
        return text.partition("AccountKey=")[2].rstrip(";")
    if kind == "password in an address":
        return text.split(":")[2].partition("@")[0]
    if kind == "slack webhook":
        return text.rpartition("/")[2]
    return text.replace(" = ", " ").replace("=", " ").rpartition(" ")[2] or text.rsplit(maxsplit=1)[
        -1
    ].rstrip("=")


def harmless() -> list[str]:
    """Return two hundred texts that are not secrets, although some resemble one."""
    maker = Maker(11)
    made = [str(UUID(int=maker.getrandbits(128))) for _ in range(20)]
    made += [sha256(maker.randbytes(8)).hexdigest() for _ in range(12)]
    made += [sha1(maker.randbytes(8)).hexdigest() for _ in range(12)]
    made += [md5(maker.randbytes(8)).hexdigest() for _ in range(12)]
    made += [f"data:image/png;base64,{maker.base64(3000)}" for _ in range(12)]
    made += [maker.base64(1200) for _ in range(9)]
    made += [
        f"{prefix}{maker.text(WORD, 24)}"
        for prefix in ("call_", "chatcmpl-", "toolu_", "msg_", "resp_", "rs_", "req_", "fp_", "run_", "file-")
        for _ in range(3)
    ]
    made += ORDINARY
    return made


ORDINARY = [
    "What is the capital of France?",
    "Bearer bonds and basic understanding are words.",
    "The bearer of this letter is authentication-mechanism number one.",
    "Basic internationalization of applications",
    "He was a standard-bearer, she an ordinary secretary.",
    "The secret of happiness: curiosity.",
    "My password is long enough, thank you.",
    "The token limit is 4096 tokens.",
    "Cookies: chocolate, oat and butter.",
    "cookie: a small cake",
    "Set the key of the map to 5.",
    "A key: value store.",
    "primary key = customer_number",
    'password = os.environ["DATABASE_PASSWORD"]',
    "api_key=settings.openai_api_key2",
    'api_key = get_secret("openai", version=2)',
    "api_key = config.providers[0].key",
    'client = OpenAI(api_key="your-api-key-1")',
    "OPENAI_API_KEY=sk-your-key-here",
    "OPENAI_API_KEY=sk-...",
    "export ANTHROPIC_API_KEY=<your key 1>",
    "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
    "Authorization: Bearer <token>",
    "Authorization: Bearer ${TOKEN_1}",
    "curl -H 'Authorization: Bearer $OPENAI_API_KEY'",
    "postgresql://user:${PASSWORD}@localhost/db",
    "postgresql://user:password@localhost/db",
    "Set-Cookie: session=38afes7a8; Domain=example.com",
    "https://example.com/path?query=1#part",
    "https://user@example.com/path",
    "git clone https://github.com/example/project.git",
    "ssh://git@example.com:2222/project.git",
    "redis://localhost:6379/0",
    "mailto:ada@example.com",
    "ada.lovelace@example.com",
    "npm install left-pad",
    "npm_config_registry=https://packages.example",
    "pip install spark-cache==0.1.0",
    "sk-spinner sk-fading-circle sk-circle1",
    "scikit-learn is sk-learn for short",
    "task-force-of-the-highest-importance-2024",
    "risk-adjusted-return-on-capital-1234567890",
    "hf_hub_download(repo_id='google/gemma-2b')",
    "xai-ethics-and-explainability",
    "the gsk_ prefix of a name",
    "ghp_ is a prefix, and so is gho_",
    "glpat is short for personal access token",
    "AIza is how some keys begin",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ada@laptop",
    "eyJ is how base64 of JSON begins",
    "v1.2.3-rc.4+build.5",
    "2026-11-22T04:22:00.123456Z",
    "gpt-4o-mini-2024-07-18",
    "claude-3-5-sonnet-20241022",
    "anthropic.claude-3-haiku-20240307-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0",
    "projects/my-project/locations/us-central1/publishers/google/models/gemini-2.0-flash",
    "+49 30 1234567",
    "DE89 3704 0044 0532 0130 00",
    "978-3-16-148410-0",
    "#ff8800 #00ff88",
    "192.168.0.1:8080",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "SELECT id, key FROM accounts WHERE token_count > 100",
    "def key(item): return item[1]",
    "for key, value in sorted(mapping.items()): print(key, value)",
    "if (event.key === 'Enter') submit(form)",
    "const secretSanta = draw(names1);",
    "x = {'key': 'value1', 'other': 'value2'}",
    '{"key": "Enter", "code": "KeyA1"}',
    '{"max_tokens": 1024, "temperature": 0.7}',
    '{"type": "object", "properties": {"password": {"type": "string"}}, "required": ["password"]}',
    '{"token_type": "bearer1", "expires_in": 3600}',
    '{"prompt_cache_key": "tenant-42-questions"}',
    '{"password": ""}',
    '{"api_key": "<your key>"}',
    '{"api_key": "YOUR_API_KEY"}',
    '{"secret": null, "password": false}',
    "grep -r 'api_key:' src1/",
    "kubectl get secret db-credentials-2 -o yaml",
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA",
    "lorem ipsum dolor sit amet, consectetur adipiscing elit",
    "The quick brown fox jumps over the lazy dog 1234567890",
    "日本語のテキスト、鍵: 値",
    "Пароль: нет",
    "🔑: a key, not the key",
    "C:\\Users\\ada\\keys\\readme1.txt",
    "/etc/ssl/private/README",
    "s3://bucket/path/to/object-0001.parquet",
    'W/"0815-4711"',
    "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    'integrity="sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC"',
    json.dumps({"choices": [{"logprobs": {"content": [{"token": "Hello1", "logprob": -0.1}]}}]}),
]

"""The patterns of well-known secrets, each with its source.

A pattern matches a prefix that a service gives to all its keys, or a form that nothing else has. Keys with neither, such as 32 hex
digits, are found only by the name of their field (:mod:`spark_cache.redaction.names`).

A package with such patterns would be better than this table. The existing ones read files line by line, depend on an HTTP client, or
are programs in other languages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

__all__ = ["EMAIL", "SECRET_PATTERNS", "SecretPattern"]


@dataclass(frozen=True)
class SecretPattern:
    """The pattern of one kind of secret.

    Attributes:
        kind: A description that may be shown to users.
        hints: Strings of which every such secret contains at least one, so that most texts are skipped quickly.
        pattern: The regular expression. A group named ``secret`` marks the part to hide. Without it, the whole match is hidden.
        source: Where the form is described.
        is_word: Whether the secret is one long word, so that texts without long words are skipped.
        has_placeholders: Whether documentation uses placeholders of this form.
    """

    kind: str
    hints: tuple[str, ...]
    pattern: str
    source: str
    is_word: bool = False
    has_placeholders: bool = True

    @cached_property
    def matcher(self) -> re.Pattern[str]:
        """The compiled pattern. It is compiled when a text first contains a hint."""
        return _compiled(self.pattern)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _key(kind: str, prefix: str, rest: str, source: str, *hints: str) -> SecretPattern:
    """Return a pattern with a prefix that does not match inside a longer word, such as a Base64 signature."""
    alone = rf"(?<![A-Za-z0-9_-])(?:{prefix})"
    if not hints:
        # Put the literal prefix first, so that the engine searches for it as fast as for a hint.
        alone = rf"{prefix}(?<![A-Za-z0-9_-]{prefix})"
    return SecretPattern(kind, hints or (prefix,), rf"{alone}{rest}(?![A-Za-z0-9])", source, is_word=True)


_WORD = "[A-Za-z0-9]"
_TEXT = "[A-Za-z0-9_-]"
_HEX = "[0-9a-f]"
_DIGIT_SOON = r"(?=[A-Za-z._~+/=-]*[0-9])"

_MODELS = (
    _key(
        "OpenAI API key",
        "sk-(?:proj|svcacct|admin|service|None)-",
        f"{_TEXT}{{20,}}",
        "OpenAI: API keys of projects",
        "sk-",
    ),
    _key(
        "API key",
        "sk-",
        f"(?=[A-Za-z]*[0-9]){_WORD}{{32,}}",
        "OpenAI: user API keys; DeepSeek, Moonshot, LiteLLM",
    ),
    _key("Anthropic API key", "sk-ant-", f"[a-z0-9]{{2,12}}-{_TEXT}{{20,}}", "Anthropic: API and admin keys"),
    _key("OpenRouter API key", "sk-or-", f"v1-{_HEX}{{32,}}", "OpenRouter: authentication"),
    _key("Langfuse secret key", "sk-lf-", f"{_HEX}{{8}}-[0-9a-f-]{{27}}", "Langfuse: API keys"),
    _key("Google API key", "AIza", f"{_TEXT}{{35}}", "Google Cloud: API keys"),
    _key("Groq API key", "gsk_", f"{_WORD}{{40,}}", "Groq: API keys"),
    _key("xAI API key", "xai-", f"{_WORD}{{60,}}", "xAI: API keys"),
    _key("Perplexity API key", "pplx-", f"{_WORD}{{32,}}", "Perplexity: API keys"),
    _key("Replicate API token", "r8_", f"{_WORD}{{30,}}", "Replicate: API tokens"),
    _key("Fireworks API key", "fw_", f"(?=[A-Za-z]*[0-9]){_WORD}{{20,}}", "Fireworks: API keys"),
    _key("NVIDIA API key", "nvapi-", f"{_TEXT}{{50,}}", "NVIDIA: API keys of NGC"),
    _key("Cerebras API key", "csk-", "[a-z0-9]{40,}", "Cerebras: API keys"),
    _key("ElevenLabs API key", "sk_", f"{_HEX}{{40,}}", "ElevenLabs: API keys"),
    _key("Jina API key", "jina_", f"{_HEX}{{32}}{_TEXT}{{20,}}", "Jina: API keys"),
    _key("Voyage API key", "pa-", f"(?={_TEXT}*[0-9]){_TEXT}{{40,}}", "Voyage: API keys"),
    _key("Tavily API key", "tvly-", f"(?:dev-|prod-)?{_WORD}{{20,}}", "Tavily: API keys"),
    _key("Pinecone API key", "pcsk_", "[A-Za-z0-9_]{40,}", "Pinecone: API keys"),
    _key(
        "LangSmith API key", "lsv2_(?:pt|sk)_", f"{_HEX}{{32}}_{_HEX}{{10}}", "LangSmith: API keys", "lsv2_"
    ),
    _key(
        "Hugging Face token",
        "hf_|api_org_",
        f"{_WORD}{{30,}}",
        "Hugging Face: access tokens",
        "hf_",
        "api_org_",
    ),
)

_CLOUDS = (
    _key(
        "AWS access key",
        "AKIA|ASIA|ABIA|ACCA",
        "[A-Z0-9]{16}",
        "AWS: IAM identifiers",
        "AKIA",
        "ASIA",
        "ABIA",
        "ACCA",
    ),
    _key(
        "Bedrock API key",
        "ABSK|bedrock-api-key-",
        r"[A-Za-z0-9+/]{80,}={0,2}",
        "AWS: Bedrock API keys",
        "ABSK",
        "bedrock-api-key-",
    ),
    _key(
        "Azure key", f"{_WORD}{{52}}JQQJ9[9D]", f"{_WORD}{{26}}", "Microsoft: identifiable secrets", "JQQJ9"
    ),
    SecretPattern(
        "Azure storage key",
        ("AccountKey=",),
        r"AccountKey=(?P<secret>[A-Za-z0-9+/]{80,}={0,2})",
        "Microsoft: connection strings of Azure Storage",
    ),
    SecretPattern(
        "Azure shared access key",
        ("SharedAccessKey=",),
        r"SharedAccessKey=(?P<secret>[A-Za-z0-9+/]{40,}={0,2})",
        "Microsoft: connection strings of Service Bus, Event Hubs and IoT Hub",
    ),
    SecretPattern(
        "signature of a URL",
        ("-Signature=", "sig="),
        r"(?:X-Amz-Signature=(?=[0-9a-f]{64})|X-Goog-Signature=(?=[0-9a-f]{128})|[?&]sig=(?=[A-Za-z0-9+/%]{43,80}(?:=|%3[Dd])))"
        r"(?P<secret>[A-Za-z0-9+/%=]+)",
        "AWS: presigned URLs; Google: signed URLs; Microsoft: shared access signatures",
    ),
    _key("Google OAuth secret", "GOCSPX-", f"{_TEXT}{{28}}", "Google: OAuth clients"),
    _key("Google OAuth token", r"ya29\.", f"{_TEXT}{{20,}}", "Google: OAuth access tokens", "ya29."),
    _key("DigitalOcean token", "do[opr]_v1_", f"{_HEX}{{64}}", "DigitalOcean: tokens", "_v1_"),
    _key("Databricks token", "dapi", f"{_HEX}{{32}}(?:-[0-9])?", "Databricks: personal access tokens"),
    _key("Heroku API key", "HRKU-", f"{_TEXT}{{36,}}", "Heroku: API keys"),
    _key("Netlify token", "nfp_", f"{_WORD}{{36,}}", "Netlify: personal access tokens"),
    _key("Supabase token", "sbp_|sb_secret_", f"{_TEXT}{{30,}}", "Supabase: keys", "sbp_", "sb_secret_"),
    _key(
        "PlanetScale token",
        "pscale_(?:tkn|pw|oauth)_",
        "[A-Za-z0-9=._-]{32,}",
        "PlanetScale: service tokens",
        "pscale_",
    ),
    _key("Pulumi token", "pul-", f"{_HEX}{{40}}", "Pulumi: access tokens"),
    _key("Vault token", r"hv[sb]\.", f"{_TEXT}{{24,}}", "HashiCorp: Vault tokens", "hvs.", "hvb."),
    _key(
        "Terraform token",
        rf"{_WORD}{{14}}\.atlasv1\.",
        f"{_TEXT}{{60,}}",
        "HashiCorp: API tokens",
        ".atlasv1.",
    ),
    _key(
        "Doppler token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"[A-Za-z0-9._-]{40,}", "Doppler: tokens", "dp."
    ),
    _key("Docker token", "dckr_(?:pat|oat)_", f"{_TEXT}{{27,}}", "Docker: access tokens", "dckr_"),
    _key(
        "Fly token", "fo1_|fm[12]_", r"[A-Za-z0-9+/=_-]{40,}", "Fly.io: access tokens", "fo1_", "fm1_", "fm2_"
    ),
)

_TOOLS = (
    _key(
        "GitHub token",
        "gh[pousr]_",
        f"{_WORD}{{36,}}",
        "GitHub: token formats",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
    ),
    _key("GitHub token", "github_pat_", "[A-Za-z0-9_]{60,}", "GitHub: fine-grained tokens"),
    _key(
        "GitLab token",
        "gl(?:pat|dt|rt|ptt|cbt|ft|imt|agent|soat|oas)-",
        r"[A-Za-z0-9_.=-]{20,}",
        "GitLab: token prefixes",
        "glpat-",
        "gldt-",
        "glrt-",
        "glptt-",
        "glcbt-",
        "glft-",
        "glimt-",
        "glagent-",
        "glsoat-",
        "gloas-",
    ),
    _key("npm token", "npm_", f"{_WORD}{{36}}", "npm: access tokens"),
    _key("PyPI token", "pypi-", f"AgE{_TEXT}{{50,}}", "PyPI: API tokens"),
    _key("RubyGems key", "rubygems_", f"{_HEX}{{48}}", "RubyGems: API keys"),
    _key(
        "Atlassian token",
        "ATATT3|ATCTT3",
        r"[A-Za-z0-9_=-]{60,}",
        "Atlassian: API tokens",
        "ATATT3",
        "ATCTT3",
    ),
    _key("Linear API key", "lin_(?:api|oauth)_", f"{_WORD}{{40,}}", "Linear: API keys", "lin_"),
    _key(
        "Notion token",
        "ntn_|secret_",
        f"(?=[A-Za-z]*[0-9]){_WORD}{{40,}}",
        "Notion: tokens",
        "ntn_",
        "secret_",
    ),
    _key(
        "Figma token",
        "fig[dour]_",
        f"{_TEXT}{{40,}}",
        "Figma: access tokens",
        "figd_",
        "figo_",
        "figu_",
        "figr_",
    ),
    _key("Postman API key", "PMAK-", f"{_HEX}{{24}}-{_HEX}{{34}}", "Postman: API keys"),
    _key("Airtable token", "pat", rf"{_WORD}{{14}}\.{_HEX}{{64}}", "Airtable: personal access tokens"),
    _key("New Relic key", "NRAK-|NRII-", f"{_TEXT}{{27,}}", "New Relic: API keys", "NRAK-", "NRII-"),
    _key(
        "Grafana token", "glsa_|glc_", r"[A-Za-z0-9_+/=]{32,}", "Grafana: service accounts", "glsa_", "glc_"
    ),
    _key("Sentry token", "sntry[su]_", r"[A-Za-z0-9_+/=]{60,}", "Sentry: auth tokens", "sntrys_", "sntryu_"),
    _key("age secret key", "AGE-SECRET-KEY-1", "[A-Z0-9]{58}", "age: file format"),
)

_MESSAGES_AND_MONEY = (
    _key("Slack token", "xox[abeoprs]-", r"(?:[0-9]-)?[A-Za-z0-9-]{10,}", "Slack: token types", "xox"),
    _key("Slack token", "xapp-", r"[0-9]-[A-Za-z0-9-]{20,}", "Slack: token types"),
    SecretPattern(
        "Slack webhook",
        ("hooks.slack.com",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9+/]{30,})",
        "Slack: incoming webhooks",
    ),
    SecretPattern(
        "Discord webhook",
        ("/api/webhooks/",),
        r"discord(?:app)?\.com/api/webhooks/(?P<secret>[0-9]{17,20}/[A-Za-z0-9_-]{60,})",
        "Discord: webhooks",
    ),
    _key(
        "Discord token",
        # The first characters of a number in Base64.
        "(?:M[DTjz]|N[DTjz]|O[DT])[A-Za-z0-9_-]{22,26}",
        r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}",
        "Discord: bot tokens",
        "MD",
        "MT",
        "Mj",
        "Mz",
        "ND",
        "NT",
        "Nj",
        "Nz",
        "OD",
        "OT",
    ),
    _key("Telegram token", "[0-9]{8,10}:AA", f"{_TEXT}{{33}}", "Telegram: bot tokens", ":AA"),
    _key("SendGrid API key", r"SG\.", rf"{_TEXT}{{22}}\.{_TEXT}{{43}}", "SendGrid: API keys", "SG."),
    _key("Mailgun API key", "key-", f"{_HEX}{{32}}", "Mailgun: API keys"),
    _key("Mailchimp API key", f"{_HEX}{{32}}-us", "[0-9]{1,2}", "Mailchimp: API keys", "-us"),
    _key("Stripe key", "(?:sk|rk)_(?:live|test)_", f"{_WORD}{{10,}}", "Stripe: API keys", "_live_", "_test_"),
    _key("Stripe webhook secret", "whsec_", r"[A-Za-z0-9+/=]{24,}", "Stripe: webhook signatures"),
    _key("Square token", "sq0(?:atp|csp)-", f"{_TEXT}{{22,}}", "Square: access tokens", "sq0"),
    _key("Shopify token", "shp(?:at|ca|pa|ss)_", "[0-9a-fA-F]{32}", "Shopify: access tokens", "shp"),
)

_FORMS = (
    SecretPattern(
        "private key",
        ("PRIVATE KEY",),
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?P<secret>[\s\S]*?)"
        r"(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
        "RFC 7468",
    ),
    SecretPattern(
        "JSON Web Token",
        ("eyJ",),
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        "RFC 7519",
    ),
    SecretPattern(
        "bearer token",
        ("earer ", "EARER "),
        rf"(?i:\bbearer)\s+(?P<secret>{_DIGIT_SOON}[A-Za-z0-9._~+/-]{{16,}}=*)",
        "RFC 6750",
    ),
    SecretPattern(
        "basic credentials",
        ("asic ", "ASIC "),
        r"(?i:\bbasic)\s+(?P<secret>(?=[A-Za-z+/]*[0-9=])[A-Za-z0-9+/]{12,}={0,2})(?![A-Za-z0-9+/])",
        "RFC 7617",
    ),
    SecretPattern(
        "cookie",
        ("ookie:", "OOKIE:"),
        r"""(?i:\b(?:set-)?cookie):\s*(?P<secret>[A-Za-z0-9!#$%&'*+.^_`|~-]+=[^\s"';][^\r\n"']*)""",
        "RFC 6265",
    ),
    SecretPattern(
        "password in an address",
        ("://",),
        r"""://[^\s/:@"'<>?#]{0,200}:(?P<secret>[^\s/@"'<>{}$*]{3,200})@""",
        "RFC 3986",
    ),
)

SECRET_PATTERNS = (*_MODELS, *_CLOUDS, *_TOOLS, *_MESSAGES_AND_MONEY, *_FORMS)
"""All patterns, with the more specific ones first."""

EMAIL = SecretPattern(
    "e-mail address",
    ("@",),
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}",
    "RFC 5322, without its rarest forms",
    has_placeholders=False,
)
"""E-mail addresses, which are hidden only on request."""

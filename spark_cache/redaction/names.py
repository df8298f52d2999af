"""The names of secrets, and where a name is enough to recognise one.

The same name denotes a secret in one place and something harmless in another: ``code`` in a query is a one-time code,
and in the arguments of a tool it is a program. The table therefore has a column for each place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from string import digits
from typing import Literal, NamedTuple, cast

from spark_cache.redaction.values import (
    is_connection,
    is_given,
    is_number,
    is_opaque,
    is_random,
    is_random_id,
)

__all__ = ["Place", "Test", "is_secret_name", "place_of", "secret_test"]

Test = Callable[[str], bool]
"""What a value must look like to be a secret."""


Place = Literal["parameter", "url", "field", "text", "within", "answer_field", "answer_text"]
"""Where a name and its value occur. All but ``within`` are columns of the table:

- ``parameter``: a header or a parameter of a query
- ``url``: a parameter of a URL in any text
- ``field``: a field of a body
- ``text``: an assignment in a text, such as a line of an ``.env`` file
- ``within``: a field in a list or an object that is named as a secret, such as ``credentials``. Any random value counts.
- ``answer_field`` and ``answer_text``: the same in a response. A false alarm would keep the response out of the cache.
"""


class _Row(NamedTuple):
    """Some names, and for each place what their values must look like.

    Names are in lower case without separators. A name that begins with ``=`` must be the whole name of a field. Any other may follow
    further words, as in ``stripe-api-key``.
    """

    names: str
    parameter: Test | None = None
    url: Test | None = None
    field: Test | None = None
    text: Test | None = None
    answer_field: Test | None = None
    answer_text: Test | None = None


_CERTAIN = """
authorization cookie setcookie password passwd passphrase pwd secret credential credentials apikey accesskey accesskeyid
secretkey secretaccesskey sharedkey sharedaccesskey accountkey accountaccesskey privatekey signingkey encryptionkey
clientsecret accesstoken refreshtoken authtoken bearertoken idtoken sessiontoken securitytoken csrftoken xsrftoken
secrettoken apitoken personaltoken
"""

_ROWS = (
    # The columns: parameter, url, field, text, answer_field, answer_text.
    _Row(_CERTAIN, is_given, is_opaque, is_given, is_opaque, is_given, is_opaque),
    _Row(
        """
        apikeys accesskeys apikeyid apikeybase secretid passwords passphrases secrets cookies pswd passwort =pass =pw dbpass
        dbpw userpass userpw smtppass mysqlpass pgpass redispass adminpass rootpass ftppass loginpass authpass basicpass
        sudopass masterkey subscriptionkey functionskey functionkey hostkey consumerkey hmackey authkey sshkey gpgkey
        pgpkey aeskey sessionkey licensekey deploykey storagekey masterpassword authcode authorizationcode accesscode
        verificationcode confirmationcode activationcode recoverycode backupcode logincode resetcode mfacode otpcode
        totpcode smscode devicecode usercode invitecode codeverifier passcode clientassertion samlassertion samlresponse
        sastoken sassignature authpassword cred creds seedphrase recoveryphrase oauthverifier
        """,
        is_given,
        is_opaque,
        is_opaque,
        is_opaque,
    ),
    _Row("token jwt bearer", is_given, is_random_id, is_random_id, is_random),
    _Row("tokens jwts csrf xsrf pat", is_random_id, is_random_id, is_random),
    # Alone, these names are too common in texts. With another word before them, they are not.
    _Row("=key =keys =auth =sig =hmac =sas =sk =ak", is_given, is_random, is_random),
    _Row(
        """
        key keys userkey appkey sharekey auth authheader authstring oauth sig hmac hmacsha sas sk ak assertion authentication
        amzsignature googsignature ossignature hmacsignature webhooksignature requestsignature urlsignature sharedaccesssignature
        """,
        is_given,
        is_random,
        is_random,
        is_random,
    ),
    _Row("signature", is_given, is_random),
    _Row("=code", is_opaque, is_random_id),
    _Row("keypairid googleaccessid", is_opaque, is_opaque),
    _Row(
        "session sessions sessionid sid sessid jsessionid phpsessid connectsid keyid tokenid",
        is_opaque,
        is_random_id,
    ),
    _Row(
        """
        code nonce ticket sso saml dpop mac grant proof magic challenge verifier verify sign refresh license twofactor 2fa authn
        authz authinfo authenticated hdnts hdnea hdntl =state relaystate
        """,
        is_random_id,
        is_random,
    ),
    _Row("pin pincode otp totp hotp onetimepassword mfa cvv cvc", is_given, is_opaque, is_number),
    _Row(
        """
        dsn connectionstring connstring connstr connection conn databaseurl dburl databaseuri dburi redisurl mongodburi mongourl
        mongouri postgresurl mysqlurl brokerurl amqpurl sasurl
        sasuri
        """,
        is_connection,
        None,
        is_connection,
    ),
    # Names that end like a secret but denote none.
    _Row(
        """
        publickey publishablekey cachekey primarykey foreignkey uniquekey sortkey partitionkey rowkey indexkey
        idempotencykey dedupkey deduplicationkey routingkey groupkey shardkey lookupkey objectkey filekey s3key blobkey
        projectkey issuekey translationkey messagekey statekey metrickey pagetoken nexttoken nextpagetoken
        continuationtoken paginationtoken synctoken resumetoken starttoken stoptoken endtoken eostoken bostoken padtoken
        unktoken masktoken septoken clstoken specialtoken maxtoken maxtokens inputtokens outputtokens totaltokens
        countrycode languagecode statuscode errorcode sourcecode zipcode postalcode currencycode thoughtsignature
        """
    ),
)
"""The names of secrets by place. A new name belongs in the row whose columns suit it."""

_BY_NAME = {name: row for row in _ROWS for name in row.names.split()}

_MERGED = (
    *["auth", "bearer", "connectionstring", "jwt", "sessionid", "signature", "token"],
    *(name for name in _CERTAIN.split() if len(name) > 5 and name != "idtoken"),  # noqa: PLR2004
)
"""Names that end a secret's name even without a boundary before them, as in ``dbpassword``. Shorter ones also end other words."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATOR = re.compile(r"[^a-z0-9]+")

_QUALIFIERS = frozenset(
    """
    v b base hex raw sha ed value plain plaintext old new current previous primary secondary backup default
    prod production dev staging stage test live
    """.split()  # noqa: SIM905 - a list would take a line for each
)
"""Words that may follow the name of a secret, without the number that may follow them, as in ``api_key_v2``."""

_PARAMETERS = (
    "headers", "header", "cookies", "querystring", "queryparams", "queryparameters", "urlparams", "searchparams",
    "extraquery", "defaultquery",
)  # fmt: skip
"""The last words of fields that hold headers or the parameters of a query."""


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    return tuple(filter(None, _SEPARATOR.split(_HUMP.sub("-", name[-200:]).lower())))


@lru_cache(maxsize=4096)
def secret_test(name: str, place: Place) -> Test | None:
    """Return what a value must look like to be a secret under this name.

    Args:
        name: The name of a field, a header or a variable, in any spelling.
        place: Where it occurs.

    Returns:
        A function that takes the value and returns whether it is a secret, or None if the name denotes none there.
    """
    if place == "within":
        return secret_test(name, "field") or is_random
    words = _words(name)
    if place in {"answer_field", "answer_text"}:
        return _column(_row_of_ending(words), place)
    may_follow = _QUALIFIERS | {"id"} if place == "parameter" else _QUALIFIERS
    while words:
        row = _row_of_ending(words) or _row_of_merged(words)
        if row is not None:
            return _column(row, place)
        last = words[-1].rstrip(digits)
        if last and last not in may_follow:
            if last == words[-1]:
                return None
            words = (*words[:-1], last)
        else:
            words = words[:-1]
    return None


def _row_of_ending(words: tuple[str, ...]) -> _Row | None:
    """Return the row of a whole name or of its longest known ending."""
    whole = "".join(words[1:] if words[:1] == ("x",) else words)
    endings = ("".join(words[start:]) for start in range(len(words)))
    return next((_BY_NAME[known] for known in (f"={whole}", *endings) if known in _BY_NAME), None)


def _row_of_merged(words: tuple[str, ...]) -> _Row | None:
    """Return the row of an ending without a boundary before it."""
    whole = "".join(words)
    return next((_BY_NAME[name] for name in _MERGED if whole.endswith(name)), None)


def _column(row: _Row | None, place: Place) -> Test | None:
    return cast("Test | None", getattr(row, place, None))


def is_secret_name(name: str) -> bool:
    """Return whether a field with this name holds a secret whatever it looks like, so that a list or an object in it may hold several.

    Args:
        name: The name of the field.
    """
    return secret_test(name, "field") in {is_given, is_opaque}


@lru_cache(maxsize=4096)
def place_of(name: str, path: str) -> Place:
    """Return the place of the names inside a field of a request.

    Args:
        name: The name of the field.
        path: The path of what contains the field. It is empty for a part of the request.
    """
    joined = "".join(_words(name))
    is_parameter = joined.endswith(_PARAMETERS) or (joined == "query" and not path)
    return "parameter" if is_parameter else "field"

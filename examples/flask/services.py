"""Backing services, each attached by the URL that its config var holds, none of them required."""

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

#: How long a service may take to answer, in seconds.
PATIENCE = 2


class Unusable(Exception):
    """A URL that cannot mean what it says."""


@dataclass(frozen=True)
class Service:
    name: str
    variable: str
    url: str

    def state(self):
        """Whether the service answers, in a word."""
        try:
            ping = ping_redis if self.variable == "REDIS_URL" else ping_postgresql
            ping(self.url)
        except Exception as error:  # Whatever its driver raises, it does not answer.
            return f"does not answer: {type(error).__name__}"
        return "answers"


def attached():
    """The services whose config vars are set."""
    known = (("redis", "REDIS_URL"), ("postgresql", "DATABASE_URL"))
    return [Service(name, variable, os.environ[variable]) for name, variable in known if os.environ.get(variable)]


def check():
    """Refuses a URL of the host's loopback: an app has a network of its own, in which nobody listens there."""
    for service in attached():
        host = urlsplit(service.url).hostname or ""
        if is_loopback(host):
            raise Unusable(
                f"{service.variable} names {host}, where nobody listens: this app has a network of its own. "
                f"Fix: run the service on another machine, or in a container or network namespace with an address of its own, "
                f"and name that: dozen config:set {service.variable}=..."
            )


def is_loopback(host):
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False  # The name of another machine.
    return address.is_loopback or address.is_unspecified


def ping_redis(url):
    import redis

    with redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as client:
        client.ping()


def ping_postgresql(url):
    import psycopg

    with psycopg.connect(url, connect_timeout=PATIENCE) as connection:
        connection.execute("SELECT 1")

"""A Django site's use of its cache and sessions, checked step by step."""

import os
from importlib import import_module

import django
from django.conf import settings
from django.core.cache import cache, caches

settings.configure(
    SECRET_KEY="none",
    INSTALLED_APPS=["django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
            "KEY_PREFIX": "site",
        },
        "own": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
        },
    },
)

django.setup()
SessionStore = import_module("django.contrib.sessions.backends.cache").SessionStore


def use(cache):
    cache.set("one", {"a": [1, 2]}, timeout=60)
    assert cache.get("one") == {"a": [1, 2]}
    assert cache.add("one", 2) is False
    assert cache.get_or_set("two", lambda: 2) == 2
    cache.set("count", 1)
    assert cache.incr("count", 4) == 5
    assert cache.decr("count") == 4
    many = {f"key{n}": n for n in range(100)}
    assert not cache.set_many(many)
    assert cache.get_many(many) == many
    cache.delete_many(list(many)[:50])
    assert len(cache.get_many(many)) == 50
    assert cache.touch("one", 120)
    cache.set("gone", 1, timeout=0)
    assert cache.get("gone") is None
    cache.set("one", "v1", version=1)
    assert cache.incr_version("one") == 2
    assert cache.get("one", version=2) == "v1"


use(cache)
assert 60 < cache.ttl("one", version=2) <= 300
assert cache.persist("two")
print("cache")

with cache.lock("mutex", timeout=10):
    assert not cache.lock("mutex", timeout=10).acquire(blocking=False)
print("locks")

assert len(cache.keys("key*")) == 50
assert len(list(cache.iter_keys("key*", itersize=10))) == 50
assert cache.delete_pattern("key*") == 50
assert cache.keys("key*") == []
print("patterns")

session = SessionStore()
session["user"] = "somebody"
session.set_expiry(300)
session.save()
key = session.session_key
again = SessionStore(session_key=key)
assert again["user"] == "somebody"
again.cycle_key()
assert not SessionStore().exists(key)
assert SessionStore().exists(again.session_key)
again.flush()
print("sessions")

use(caches["own"])
cache.clear()
assert cache.get("two") is None
print("django's own cache")

"""Customers, kept by walrus; then its containers, a rate limit and autocomplete."""

import datetime
import os

from walrus import Database, DateField, IntegerField, Model, SetField, TextField

db = Database(os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"]))


class Customer(Model):
    __database__ = db
    __namespace__ = "shop"

    email = TextField(primary_key=True)
    name = TextField(index=True, fts=True)
    visits = IntegerField(index=True)
    joined = DateField(index=True)
    tags = SetField()


for n in range(50):
    made = Customer.create(
        email=f"c{n}@example.org",
        name=f"Customer {'even' if n % 2 == 0 else 'odd'}",
        visits=n,
        joined=datetime.date(2026, 1, 1 + n % 28),
    )
    made.tags.add("new", f"group-{n % 3}")
print("saved")

assert Customer.load("c7@example.org").visits == 7
assert Customer.count() == 50
found = list(Customer.query((Customer.visits > 10) & (Customer.visits <= 15)))
assert sorted(each.visits for each in found) == [11, 12, 13, 14, 15]
assert len(list(Customer.query(Customer.name.search("odd")))) == 25
# Not order_by: SORT by keys that its elements name is refused in any cluster.
either = Customer.query((Customer.visits == 3) | (Customer.visits == 4))
assert sorted(each.visits for each in either) == [3, 4]
assert Customer.get(Customer.email == "c9@example.org").visits == 9
print("found")

one = Customer.load("c7@example.org")
one.visits = 1000
one.save()
assert [each.email for each in Customer.query(Customer.visits > 100)] == ["c7@example.org"]
assert set(one.tags) == {b"new", b"group-1"}
print("changed")

for each in list(Customer.all()):
    each.delete()
assert Customer.count() == 0
print("deleted")

stock = db.Hash("stock")
stock.update(apples=3, pears=4)
stock.incr("apples", 2)
assert stock.as_dict(decode=True) == {"apples": "5", "pears": "4"}
scores = db.ZSet("scores")
scores.add({"one": 1, "two": 2, "three": 3})
assert scores[1:] == [b"two", b"three"]
line = db.List("line")
line.extend(["a", "b", "c"])
assert line.popleft() == b"a"
assert list(line) == [b"b", b"c"]
with db.lock("only-one"):
    assert not db.lock("only-one", lock_id="other").acquire(block=False)
db["compare"] = "old"
assert db.cas("compare", "old", "new")
print("containers")

limit = db.rate_limit("visits", limit=3, per=60)
assert [bool(limit.limit("somebody")) for _ in range(5)] == [False] * 3 + [True] * 2
print("limits")

names = db.autocomplete("names")
for word in ("python", "pythagoras", "ruby"):
    names.store(word)
assert sorted(names.search("pyth")) == ["pythagoras", "python"]
print("autocomplete")

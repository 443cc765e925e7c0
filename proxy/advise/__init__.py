"""``slotway advise``: what of an application's traffic would break on a cluster, and why."""

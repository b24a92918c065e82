"""Times as the API has them."""

import datetime

FORM = "%Y-%m-%dT%H:%M:%SZ"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime(FORM)


def seconds_since(text):
    then = datetime.datetime.strptime(text, FORM).replace(tzinfo=datetime.timezone.utc)
    return (datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()

"""The errors of the API, in the words of the real server, as Status objects."""


class ApiError(Exception):
    def __init__(self, code, reason, message, details=None):
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details or {}

    def status(self):
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        return {**status, "code": self.code}


def _details(resource, name):
    details = {"name": name, "kind": resource.plural}
    if resource.group:
        details["group"] = resource.group
    return details


def not_found(resource, name):
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def no_such_path():
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource, name):
    return ApiError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


def conflict(resource, name, why=None):
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(resource, name))


def bad_request(message):
    return ApiError(400, "BadRequest", message)


def forbidden(resource, name, why, causes=()):
    details = _details(resource, name)
    if causes:
        details["causes"] = list(causes)
    return ApiError(403, "Forbidden", f'{resource.qualified} "{name}" is forbidden: {why}', details)


def terminating(resource, name, namespace):
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(resource, name, why, [cause])


def unauthorized():
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed():
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def unsupported_media(message):
    return ApiError(415, "UnsupportedMediaType", message)


def expired(wanted, oldest):
    return ApiError(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def unavailable():
    return ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request")


class Cause:
    """One field that is wrong, as validation names it."""

    def __init__(self, reason, field, message):
        self.reason, self.field, self.message = reason, field, message


def required(field, hint=""):
    return Cause("FieldValueRequired", field, "Required value" + (f": {hint}" if hint else ""))


def invalid_value(field, value, why):
    return Cause("FieldValueInvalid", field, f"Invalid value: {value}: {why}")


def forbidden_field(field, why):
    return Cause("FieldValueForbidden", field, f"Forbidden: {why}")


def invalid(resource, name, causes):
    said = [f"{cause.field}: {cause.message}" for cause in causes]
    kind = resource.kind + (f".{resource.group}" if resource.group else "")
    message = f'{kind} "{name}" is invalid: ' + (said[0] if len(said) == 1 else "[" + ", ".join(said) + "]")
    details = {**_details(resource, name), "kind": resource.kind}
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return ApiError(422, "Invalid", message, details)

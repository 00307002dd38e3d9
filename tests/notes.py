"""What an exception says beside its own text."""


def notes(error):
    """Return the notes of an exception; before Python 3.11 they are the further lines of its text."""
    return list(getattr(error, "__notes__", None) or error.args[0].split("\n")[1:])


def own_args(error):
    """Return the arguments that the user's code gave to the exception."""
    if hasattr(error, "__notes__"):
        return error.args
    return (error.args[0].split("\n")[0], *error.args[1:])

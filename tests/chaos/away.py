"""What asking a server may raise that is killed, stopped or cut off just then; asked again it answers."""

import http.client

AWAY = (OSError, ValueError, http.client.HTTPException)  # a killed process may have sent the beginning of its answer

# The assertion comes in by the environment, and goes out through a pipe: in an argument, other users could see it.
printf %s "$ASSERTION" | curl --fail --silent --show-error \
  --data grant_type=client_credentials \
  --data client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
  --data-urlencode client_assertion@- "$TOKEN_URL"

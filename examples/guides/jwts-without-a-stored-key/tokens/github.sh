printf 'Authorization: Bearer %s\n' "$JWT" | curl --fail --silent --show-error --header @- "$API/app"

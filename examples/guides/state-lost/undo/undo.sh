address='hsm_ec_keypair.service["service.mail"]'
second=$(terraform state show -no-color "$address" | sed -n 's/^ *key_id *= "\(.*\)"$/\1/p')
terraform state rm "$address" &&
  hsm --delete-object --type privkey --id "${second:?}" &&
  hsm --delete-object --type pubkey --id "${second:?}"

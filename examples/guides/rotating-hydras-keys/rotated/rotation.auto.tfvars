generation = {
  id_token     = 1
  access_token = 2
}

# By the label of the pair that signs. The IDs of the ring's pairs end in the numbers of their generations:
terraform import hsm_key_ring.access_token hydra.jwt.access-token

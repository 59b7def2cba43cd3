# By serial number, or by label, as the data source hsm_tokens shows them. No PIN is needed or changed:
terraform import hsm_token.hydra 5401385e7283ada7
terraform import hsm_token.hydra hydra

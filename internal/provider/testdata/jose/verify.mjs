// Verifies JSON Web Tokens against a JSON Web Key Set: {"jwks": {...}, "tokens": [{"alg": "ES256", "token": "..."}]} on
// standard input. Prints a line for each token: "verified KID", or "refused" and the reason.
import { createLocalJWKSet, jwtVerify } from "jose";
import { readFileSync } from "node:fs";

const { jwks, tokens } = JSON.parse(readFileSync(0, "utf8"));
const keys = createLocalJWKSet(jwks);
for (const { alg, token } of tokens) {
  try {
    const { protectedHeader } = await jwtVerify(token, keys, { algorithms: [alg] });
    console.log(`verified ${protectedHeader.kid}`);
  } catch (error) {
    console.log(`refused ${error.code ?? error}`);
  }
}

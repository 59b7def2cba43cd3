// Package x509cert makes certificate requests, certificates and revocation lists (RFC 2986, RFC 5280), out of a profile
// and a crypto.Signer. It knows nothing of tokens or of Terraform, and makes no calls but those of the signer.
//
//	problems := profile.Check(pub, issuer)             // before anything is signed
//	problems  = profile.Rehearse(pub, issuer)          // the same, and lints what a throw-away key makes
//	der, err := profile.Create(pub, issuer, signer)    // checked, linted, signed, parsed and verified
//
// It works as a key ceremony does: the profile is checked, the product is made once with a throw-away key in memory and
// linted, then the signer signs, and what it has signed is parsed and verified before anybody gets it. What is wrong is
// a [Problem], which names the argument at fault in the words of Terraform's tls provider.
//
// The one who certifies a request takes its subject and its names as they stand:
//
//	request, err := ParseRequest(text)                        // whose signature is verified
//	profile.RawSubject, profile.Names, err = RequestNames(request)
//
// Glossary: a request, a certificate and a list are products. The issuer is the certificate of the CA that signs, nil
// where a certificate signs itself. A CA's constraints are the names that it may certify. Uses are key usages and
// extended key usages, both.
package x509cert

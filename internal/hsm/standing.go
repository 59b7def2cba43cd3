package hsm

// Standing says what a failed operation of the security officer left of a token.
type Standing int

// How a token may stand after a failure.
const (
	StandsUnknown              Standing = iota // nothing was begun: no token was found, or the module does not answer
	StandsUntouched                            // it is as it was
	StandsPerhapsInitialized                   // C_InitToken failed, and the token does not tell what it did
	StandsInitialized                          // it is initialised, and has no user PIN yet
	StandsPerhapsPIN                           // it is initialised; whether it has the user PIN is not known
	StandsWhole                                // it is initialised and has the user PIN
	StandsOldPIN                               // the user's PIN is as it was
	StandsPerhapsNewPIN                        // the user has the old PIN or the new one
	StandsOldOfficerPIN                        // the security officer's PIN is as it was
	StandsPerhapsNewOfficerPIN                 // the security officer has the old PIN or the new one
	StandsPerhapsErased                        // C_InitToken failed, and the token does not tell what it did
)

var standings = map[Standing]string{
	StandsUnknown:   "No token was touched.",
	StandsUntouched: "The token is as it was.",
	StandsPerhapsInitialized: "It is not known whether the token was initialised: it no longer answers, or its " +
		"answer makes no sense.",
	StandsInitialized: "The token is initialised and has its label, and no user PIN yet. It holds no key.",
	StandsPerhapsPIN: "The token is initialised and has its label. It is not known whether its user has the PIN. It " +
		"holds no key.",
	StandsWhole:                "The token is initialised, and its user has the PIN. It holds no key.",
	StandsOldPIN:               "The user's PIN is as it was, and so is every key.",
	StandsPerhapsNewPIN:        "The user's PIN is the old one or the new one. Every key is as it was.",
	StandsOldOfficerPIN:        "The security officer's PIN is as it was, and so is every key.",
	StandsPerhapsNewOfficerPIN: "The security officer's PIN is the old one or the new one. Every key is as it was.",
	StandsPerhapsErased:        "It is not known whether the token was erased, in whole or in part.",
}

// String is a full sentence, or several.
func (s Standing) String() string { return standings[s] }

// StandingError is a failed operation of the security officer: what failed, and how the token stands.
type StandingError struct {
	Token  TokenInfo // the zero value where none was found
	Stands Standing
	Err    error
}

func (e *StandingError) Error() string { return e.Err.Error() + ". " + e.Stands.String() }

// Unwrap gives the cause.
func (e *StandingError) Unwrap() error { return e.Err }

// Package awscall holds what the strategies share about calling AWS: how an error is classified, which calls are sent again, that a call
// which changes something is checked against the lease just before it is signed, and whose credentials a client has.
package awscall

// Package emulator holds tests that run the strategies through real HTTP against an emulator of AWS that this project did not write, and through
// the simulated AWS, by the same words: what holds on both is more than what the project believes about itself.
//
//	moto_server -H 127.0.0.1 -p 5000 &
//	SNAPWARDEN_EMULATOR=http://127.0.0.1:5000 go test ./internal/emulator/...
//
// Without the variable the emulator's half is skipped, and says so. The emulator must be moto 5.2.1 or serve POST /moto-api/reset, because
// each test begins with nothing in it: give the tests an emulator of their own, on the loopback interface, and never anything else.
//
// Where the emulator does not do what AWS does, a row of the table of differences says so, and a probe holds the row against both worlds: a row
// that is not true any more fails. A weakness of the emulator never weakens a strategy: the strategies know nothing of it. In two
// cases the transport of the tests stands in for the emulator: it refuses calls that the emulator breaks in, as AWS refuses what it does not know, and
// it tells of snapshots of DB clusters which cluster they are of.
package emulator

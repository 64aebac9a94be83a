package quiesce

// InPlace has the scripts of a Host look for tools, for systemd and for room elsewhere.
func InPlace(h *Host, path, base, systemd string) {
	h.place = place{path: path, base: base, systemd: systemd}
}

// Scripts gives the scripts of a Host for a lease.
func Scripts(h *Host, l Lease) (freeze, thaw string) {
	return h.place.freeze(h.plan, l), h.place.release(l)
}

// Package backup is the core that every strategy, service and script shares. It needs only the standard library.
package backup

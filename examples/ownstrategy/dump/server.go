package dump

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"sync"
)

// Server is the thing to back up: named databases of keys and values, all in memory. Put your own service in its place.
type Server struct {
	mu        sync.Mutex
	databases map[string]database
}

type database struct {
	label  string // what made it; here the ID of the Operation that restored it
	values map[string]string
}

// The errors of a Server.
var (
	errNoDatabase = errors.New("there is no such database")
	errExists     = errors.New("there is a database of that name")
)

// Set stores a value; it makes the database if there is none.
func (s *Server) Set(name, key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.databases == nil {
		s.databases = map[string]database{}
	}
	if _, ok := s.databases[name]; !ok {
		s.databases[name] = database{values: map[string]string{}}
	}
	s.databases[name].values[key] = value
}

// Get gives a copy of a database's values.
func (s *Server) Get(name string) (map[string]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.databases[name]
	return maps.Clone(d.values), ok
}

// Labels gives the databases by name, with what each was labelled with when it was made.
func (s *Server) Labels() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	labels := map[string]string{}
	for name, d := range s.databases {
		labels[name] = d.label
	}
	return labels
}

// Dump writes a database as it is at this moment.
func (s *Server) Dump(name string, w io.Writer) error {
	values, ok := s.Get(name)
	if !ok {
		return errNoDatabase
	}
	return json.NewEncoder(w).Encode(values)
}

// Load makes a database of what Dump wrote; it never changes one that exists.
func (s *Server) Load(name, label string, r io.Reader) error {
	var values map[string]string
	if err := json.NewDecoder(r).Decode(&values); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.databases[name]; ok {
		return errExists
	}
	s.databases[name] = database{label: label, values: values}
	return nil
}

package objectcopy_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
	"testing/synctest"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// The model: each copy request takes 50 ms and then moves 90 MB/s. Source: S3 user guide, Performance guidelines, for the rate.
const (
	modelLatency = 50 * time.Millisecond
	modelRate    = 90e6 // bytes a second
)

func modelTime(bytes int64) time.Duration {
	return modelLatency + time.Duration(float64(bytes)/modelRate*float64(time.Second))
}

// figure is one row.
type figure struct {
	Figure      string  `json:"figure"`
	GiB         float64 `json:"gib"`
	Objects     int     `json:"objects"`
	Concurrency int     `json:"concurrency"`
	PartMiB     float64 `json:"part_mib"`
	Seconds     float64 `json:"virtual_seconds"`
	Bound       float64 `json:"bound_seconds"`
	Ratio       float64 `json:"ratio"`
}

// measure copies objects of the given size at the same time, in virtual time. The bound is what the copy requests take, if the slots are never
// idle.
func measure(t *testing.T, size int64, objects, concurrency int, part int64) (f figure) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(s *objectcopy.Settings) { s.Concurrency = concurrency })
		b.world.KeepCalls(false)
		b.world.SetTransfer(func(_, _ string, input any) time.Duration {
			in, ok := input.(*awss3.UploadPartCopyInput)
			if !ok {
				return 0
			}
			var first, last int64
			if _, err := fmt.Sscanf(*in.CopySourceRange, "bytes=%d-%d", &first, &last); err != nil {
				t.Error(err)
			}
			return modelTime(last - first + 1)
		})
		for i := range objects {
			b.generate(fmt.Sprint(i), size)
		}
		began := time.Now()
		done := make(chan struct{}, objects)
		runner := b.runner()
		for i := range objects {
			key := fmt.Sprint(i)
			op := b.start(key, options(func(o *objectcopy.Options) { o.PartSize = part }))
			go func() {
				defer func() { done <- struct{}{} }()
				op, err := runner.Run(t.Context(), op)
				if err != nil {
					t.Errorf("%s: %v", op.Phase, err)
				}
			}()
		}
		for range objects {
			<-done
		}
		took := time.Since(began)
		for i := range objects {
			if key := fmt.Sprint(i); !b.store.Same(b.world, here, from, key, there, to, key) {
				t.Errorf("object %s is not the source", key)
			}
		}
		b.clean()
		if concurrency == 0 {
			concurrency = objectcopy.DefaultConcurrency
		}
		if part == 0 {
			part = objectcopy.DefaultPartSize
		}
		part = objectcopy.PartSize(size, part)
		parts := float64(objects) * math.Ceil(float64(size)/float64(part))
		bound := math.Ceil(parts/float64(concurrency)) * modelTime(min(part, size)).Seconds()
		f = figure{"objectcopy", float64(size) / (1 << 30), objects, concurrency, float64(part) / mib, took.Seconds(), bound, took.Seconds() / bound}
	})
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(b))
	return f
}

// At the default settings a copy takes hardly longer than its requests must, and less than a fifth of what ten parts of 8 MiB at a time take.
func TestFiguresCopy(t *testing.T) {
	if os.Getenv("SNAPWARDEN_FIGURES") == "" {
		t.Skip("set SNAPWARDEN_FIGURES=1 to run it")
	}
	const size = 20 << 30
	plain := measure(t, size, 1, 10, 8*mib)
	chosen := measure(t, size, 1, 0, 0)
	if chosen.Ratio > 1.05 {
		t.Errorf("%.3f times the bound", chosen.Ratio)
	}
	if plain.Seconds < 5*chosen.Seconds {
		t.Errorf("only %.1f times as fast as ten parts of 8 MiB at a time", plain.Seconds/chosen.Seconds)
	}
	for _, c := range []struct {
		size        int64
		objects     int
		concurrency int
		part        int64
	}{
		{size, 1, 1, 0}, {size, 1, 8, 0}, {size, 1, 32, 0}, {size, 1, 128, 0}, {size, 1, 100, 16 * mib}, {size, 1, 64, 128 * mib},
		{2 << 30, 1, 0, 0}, {6 << 30, 1, 0, 0}, {1 << 40, 1, 0, 0}, {2 << 30, 10, 0, 0},
	} {
		if f := measure(t, c.size, c.objects, c.concurrency, c.part); f.Ratio > 1.1 {
			t.Errorf("%.3f times the bound: %+v", f.Ratio, f)
		}
	}
}

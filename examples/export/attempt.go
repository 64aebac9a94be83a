package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// trial is one thing that goes wrong.
type trial struct {
	label, title string
	// id is the finding that must name it, and code how the work must end.
	id   string
	code backup.Code

	plan
	// arrange makes it wrong; nil where it is wrong by itself.
	arrange func(ctx context.Context) error
	// start begins what fails; nil for the export. ask does the same by AWS's own call.
	start func(ctx context.Context) (backup.Operation, error)
	ask   func(ctx context.Context) error
	// mend makes it right, by changing AWS or the plan, and says how.
	mend func(ctx context.Context, p *plan) (string, error)
}

// plan is what is exported, by whom, and where to.
type plan struct {
	source       backup.Ref
	bucket, name string
	by           *caller
}

// start makes the Operation of the export. It sends nothing.
func (p plan) start(ctx context.Context, token string) (backup.Operation, error) {
	return p.by.exports.Start(ctx, p.source, backup.Spec{Token: token, Name: p.name, Options: elasticacheexport.Options{Bucket: p.bucket}})
}

// ask has AWS do it directly, with the same credentials.
func (p plan) ask(ctx context.Context) error {
	_, err := awselasticache.NewFromConfig(p.by.config(region)).CopySnapshot(ctx, &awselasticache.CopySnapshotInput{
		SourceSnapshotName: aws.String(p.source.ID), TargetSnapshotName: &p.name, TargetBucket: &p.bucket})
	return err
}

func snapshot(name string) backup.Ref { return elasticache.Snapshot(account, region, name) }

// try meets a failure, has it explained, mends it, and passes.
func (c *cloud) try(ctx context.Context, out *report, t trial) (row, error) {
	r := row{label: t.label, id: t.id}
	if r.id == "" {
		r.id = "-"
	}
	out.count++
	out.print("\n2.%d %s\n", out.count, t.title)
	if t.arrange != nil {
		if err := t.arrange(ctx); err != nil {
			return r, err
		}
	}
	start, ask := t.start, t.ask
	if start == nil {
		start = func(ctx context.Context) (backup.Operation, error) { return t.plan.start(ctx, t.label) }
	}
	if ask == nil {
		ask = t.plan.ask
	}
	op, err := start(ctx)
	if err != nil {
		return r, err
	}
	found, err := t.by.exports.Preflight(ctx, op)
	if err != nil {
		return r, err
	}
	out.findings("Preflight", found)

	refused := ask(ctx)
	if refused == nil {
		return r, errors.New("AWS was to refuse it, and did it")
	}
	var api smithy.APIError
	if !errors.As(refused, &api) {
		return r, refused
	}
	words := api.ErrorCode() + ": " + api.ErrorMessage()
	out.line("AWS says", "%s", words)

	if op, err = t.by.run(ctx, op); err != nil {
		return r, err
	}
	r.met = op.Phase == backup.PhaseFailed && op.Failure.Code == t.code
	if f := op.Failure; f != nil {
		out.failure(*f, words, found, op.Findings)
		r.explained = f.Hint != ""
	}
	r.by = namedBy(t.id, found, op.Findings)
	r.explained = r.explained && r.by != ""

	how, err := t.mend(ctx, &t.plan)
	if err != nil {
		return r, err
	}
	r.mended = true
	out.line("mended", "%s", how)
	r.passed, err = c.pass(ctx, out, t.plan, t.label+", mended")
	return r, err
}

// namedBy tells whether a finding of the id came before or with the failure. What has no id needs none.
func namedBy(id string, before, with []backup.Finding) string {
	has := func(all []backup.Finding) bool {
		return slices.ContainsFunc(all, func(f backup.Finding) bool { return f.ID == id })
	}
	switch early, late := has(before), has(with); {
	case id == "":
		return "its hint"
	case early && late:
		return "Preflight, export"
	case early:
		return "Preflight"
	case late:
		return "export"
	}
	return ""
}

// pass exports according to a plan that was mended, and reads what came of it.
func (c *cloud) pass(ctx context.Context, out *report, p plan, token string) (bool, error) {
	op, err := p.start(ctx, token)
	if err != nil {
		return false, err
	}
	if op, err = p.by.run(ctx, op); err != nil {
		return false, err
	}
	if err := op.Err(); err != nil {
		out.line("again", "%s: %s", op.Phase, said(err.Error()))
		return false, nil
	}
	words, err := c.proof(ctx, op)
	if err != nil {
		return false, err
	}
	out.line("again", "%s: %s", op.Phase, words)
	return true, nil
}

// exported gives the point of a finished export among those of its Operation: an export of a live group lists its snapshot too.
func exported(op backup.Operation) (backup.Ref, error) {
	for _, r := range op.Points {
		if r.Type == elasticacheexport.TypeExport {
			return r, nil
		}
	}
	return backup.Ref{}, errors.New("the work lists no export")
}

// proof reads every file of an export from its first byte to its last, against the manifest.
func (c *cloud) proof(ctx context.Context, op backup.Operation) (string, error) {
	point, err := exported(op)
	if err != nil {
		return "", err
	}
	m, err := c.admin.exports.Manifest(ctx, point)
	if err != nil {
		return "", err
	}
	var all int64
	for _, x := range m.Shards {
		n, err := readShard(ctx, c.admin.exports, point, x.ID)
		if err != nil {
			return "", fmt.Errorf("%s: %w", x.Key, err)
		}
		all += n
	}
	files := "1 file"
	if n := len(m.Shards); n > 1 {
		files = fmt.Sprintf("%d files", n)
	}
	return fmt.Sprintf("%s, %d bytes in all, read and checked against %s", files, all, point.ID), nil
}

// readShard streams one file. Open checks it meanwhile; that it is whole is known at its end only.
func readShard(ctx context.Context, s *elasticacheexport.Strategy, point backup.Ref, shard string) (n int64, err error) {
	file, err := s.Open(ctx, point, shard)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.Copy(io.Discard, file)
}

package protect

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/policy"
)

// fromS3 gives a rule as package policy knows it. What has anything that it does not know, by date, tag or size, or a field that S3 invents
// later, becomes a rule of somebody else, with the original in Other.
func fromS3(x s3types.LifecycleRule) policy.LifecycleRule {
	r := policy.LifecycleRule{ID: aws.ToString(x.ID), Disabled: x.Status == s3types.ExpirationStatusDisabled}
	if x.Filter != nil {
		r.Prefix = aws.ToString(x.Filter.Prefix)
	} else {
		r.Prefix = aws.ToString(*olderPrefix(&x))
	}
	for _, t := range x.Transitions {
		r.Transitions = append(r.Transitions, policy.Transition{Days: number(t.Days), Class: policy.StorageClass(t.StorageClass)})
	}
	for _, t := range x.NoncurrentVersionTransitions {
		r.OlderTransitions = append(r.OlderTransitions, policy.Transition{Days: number(t.NoncurrentDays), Class: policy.StorageClass(t.StorageClass)})
	}
	if e := x.Expiration; e != nil {
		r.ExpireDays, r.ExpireMarkers = number(e.Days), aws.ToBool(e.ExpiredObjectDeleteMarker)
	}
	if e := x.NoncurrentVersionExpiration; e != nil {
		r.ExpireOlderDays, r.KeepOlder = number(e.NoncurrentDays), number(e.NewerNoncurrentVersions)
	}
	if a := x.AbortIncompleteMultipartUpload; a != nil {
		r.AbortUploadsDays = number(a.DaysAfterInitiation)
	}
	inOrder(r.Transitions)
	inOrder(r.OlderTransitions)
	// Whatever is lost on the way there and back again is something that the type does not know.
	if !reflect.DeepEqual(plain(x), plain(toS3(r, false))) {
		return policy.LifecycleRule{ID: r.ID, Other: x}
	}
	return r
}

// inOrder puts moves into the order of their days, the one in which they must be written.
func inOrder(all []policy.Transition) {
	slices.SortStableFunc(all, func(a, b policy.Transition) int { return cmp.Compare(a.Days, b.Days) })
}

func number(n *int32) int { return int(aws.ToInt32(n)) }

// olderPrefix is where a rule of the older form, without a filter, has its prefix. S3 still gives and takes such rules.
func olderPrefix(x *s3types.LifecycleRule) **string {
	//lint:ignore SA1019 what others wrote in the older form has to stay in it
	return &x.Prefix //nolint:staticcheck // as above
}

// plain gives a rule in the one of several forms of the same meaning in which toS3 writes it. It copies what it changes.
func plain(x s3types.LifecycleRule) s3types.LifecycleRule {
	if x.Filter == nil {
		older := olderPrefix(&x)
		x.Filter, *older = &s3types.LifecycleRuleFilter{Prefix: *older}, nil
	}
	if x.Filter.Prefix == nil {
		f := *x.Filter
		f.Prefix = aws.String("")
		x.Filter = &f
	}
	if e := x.Expiration; e != nil && e.ExpiredObjectDeleteMarker != nil && !*e.ExpiredObjectDeleteMarker {
		c := *e
		c.ExpiredObjectDeleteMarker = nil
		x.Expiration = &c
	}
	x.Transitions = slices.Clone(x.Transitions)
	slices.SortStableFunc(x.Transitions, func(a, b s3types.Transition) int { return cmp.Compare(aws.ToInt32(a.Days), aws.ToInt32(b.Days)) })
	x.NoncurrentVersionTransitions = slices.Clone(x.NoncurrentVersionTransitions)
	slices.SortStableFunc(x.NoncurrentVersionTransitions, func(a, b s3types.NoncurrentVersionTransition) int {
		return cmp.Compare(aws.ToInt32(a.NoncurrentDays), aws.ToInt32(b.NoncurrentDays))
	})
	if len(x.Transitions) == 0 {
		x.Transitions = nil
	}
	if len(x.NoncurrentVersionTransitions) == 0 {
		x.NoncurrentVersionTransitions = nil
	}
	return x
}

// toS3 gives a rule as S3 takes it; older gives it a prefix in the place of a filter.
func toS3(r policy.LifecycleRule, older bool) s3types.LifecycleRule {
	x := s3types.LifecycleRule{ID: aws.String(r.ID), Status: s3types.ExpirationStatusEnabled}
	if r.Disabled {
		x.Status = s3types.ExpirationStatusDisabled
	}
	if older {
		*olderPrefix(&x) = aws.String(r.Prefix)
	} else {
		x.Filter = &s3types.LifecycleRuleFilter{Prefix: aws.String(r.Prefix)}
	}
	for _, t := range r.Transitions {
		x.Transitions = append(x.Transitions, s3types.Transition{Days: aws.Int32(int32(t.Days)), StorageClass: s3types.TransitionStorageClass(t.Class)})
	}
	for _, t := range r.OlderTransitions {
		x.NoncurrentVersionTransitions = append(x.NoncurrentVersionTransitions,
			s3types.NoncurrentVersionTransition{NoncurrentDays: aws.Int32(int32(t.Days)), StorageClass: s3types.TransitionStorageClass(t.Class)})
	}
	switch {
	case r.ExpireMarkers:
		x.Expiration = &s3types.LifecycleExpiration{ExpiredObjectDeleteMarker: aws.Bool(true)}
	case r.ExpireDays > 0:
		x.Expiration = &s3types.LifecycleExpiration{Days: aws.Int32(int32(r.ExpireDays))}
	}
	if r.ExpireOlderDays > 0 {
		x.NoncurrentVersionExpiration = &s3types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(int32(r.ExpireOlderDays))}
		if r.KeepOlder > 0 {
			x.NoncurrentVersionExpiration.NewerNoncurrentVersions = aws.Int32(int32(r.KeepOlder))
		}
	}
	if r.AbortUploadsDays > 0 {
		x.AbortIncompleteMultipartUpload = &s3types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(int32(r.AbortUploadsDays))}
	}
	return x
}

// merge puts rules into those of a bucket, which stay word for word as they are. S3 does not take rules with a filter beside such of the older
// form, whose prefix stands alone: where there is one that stays, mine are written in the older form. UNVERIFIED: AWS documents that refusal
// nowhere; it is what others ran into.
func merge(have []s3types.LifecycleRule, mine []policy.LifecycleRule) ([]s3types.LifecycleRule, policy.Merged, error) {
	existing := make([]policy.LifecycleRule, len(have))
	for i, x := range have {
		existing[i] = fromS3(x)
	}
	merged, how, err := policy.MergeLifecycle(existing, mine)
	if err != nil || !how.Changed() {
		return have, how, err
	}
	stays := func(i int) bool { return i < len(have) && !slices.Contains(how.Replaced, merged[i].ID) }
	older := false
	for i, x := range have {
		older = older || stays(i) && x.Filter == nil
	}
	out := make([]s3types.LifecycleRule, len(merged))
	for i, r := range merged {
		if stays(i) {
			out[i] = have[i]
		} else {
			out[i] = toS3(r, older)
		}
	}
	return out, how, nil
}

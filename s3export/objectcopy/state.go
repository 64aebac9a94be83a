package objectcopy

import (
	"strings"
	"time"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
)

// The stages.
const (
	stageLook     = "look"     // source and destination are looked at
	stageRestore  = "restore"  // an archived source may be asked for
	stageThaw     = "thaw"     // it is being brought back
	stageCopy     = "copy"     // a small object may be copied
	stageCreate   = "create"   // an upload may be begun
	stageSettle   = "settle"   // one was perhaps begun: as earlier releases stored it, which looked for it
	stageParts    = "parts"    // parts are being copied
	stageComplete = "complete" // the parts may be put together
	stageSeek     = "seek"     // the object was perhaps made; it is looked for
	stageVerify   = "verify"   // the object is there and is checked
	stageAbort    = "abort"    // uploads may be aborted
	stageGone     = "gone"     // that they are gone is checked
	stageStrays   = "strays"   // uploads that were perhaps begun and never learnt of are told of
	stageStop     = "stop"     // there is nothing to be stopped
)

// state is a copy's State.
type state struct {
	// What was asked for. To is the ID of the destination's Ref.
	Account   string                       `json:"a"`
	Region    string                       `json:"r"`
	To        string                       `json:"t"`
	Part      int64                        `json:"p"`
	Class     s3types.StorageClass         `json:"c"`
	SSE       s3types.ServerSideEncryption `json:"e,omitempty"`
	Key       string                       `json:"k,omitempty"`
	BucketKey bool                         `json:"bk,omitempty"`
	Tier      s3types.Tier                 `json:"ti"`
	Days      int32                        `json:"d"`

	// What the source was when it was looked at. Version may be asked for, too.
	Version string `json:"v,omitempty"`
	ETag    string `json:"et,omitempty"`
	Size    int64  `json:"s,omitempty"`
	// Algo is the checksum that the copy gets, and Sum what the source has of it, empty where it has none that can be compared.
	Algo s3types.ChecksumAlgorithm `json:"al,omitempty"`
	Sum  string                    `json:"su,omitempty"`
	// MD5: the source's ETag is the MD5 of its bytes.
	MD5 bool `json:"m,omitempty"`

	// Upload is the id of the own upload. From then on Part is the size of its parts.
	Upload string `json:"u,omitempty"`
	// Begin is when the first own upload can have been begun.
	Begin time.Time `json:"n,omitzero"`
	// Doubts counts the calls that perhaps began an upload whose id was never learnt. Until is the end of the time in which one can show itself.
	Doubts int       `json:"db,omitempty"`
	Until  time.Time `json:"un,omitzero"`
	// Conflicts counts the uploads that S3 would not put together because of a conflict. Anew: one of them is being aborted, to be begun
	// anew; Why is then how the Operation ends if that can not be done.
	Conflicts int  `json:"co,omitempty"`
	Anew      bool `json:"an,omitempty"`

	// Why is how the Operation ends once its uploads are gone; nil means well.
	Why *backup.Failure `json:"w,omitempty"`
}

// dest is the Ref of the new object.
func (st state) dest() backup.Ref {
	return backup.Ref{Type: TypeObject, Account: st.Account, Region: st.Region, ID: st.To}
}

// upload is the Ref of the own upload.
func (st state) upload() backup.Ref { return st.uploadRef(st.Upload) }

func (st state) uploadRef(id string) backup.Ref {
	return backup.Ref{Type: TypeUpload, Account: st.Account, Region: st.Region, ID: st.To + "#" + escape(id)}
}

// place is where the new object goes. The state was checked when it was made and when it was read.
func (st state) place() (bucket, key string) {
	bucket, key, _ = strings.Cut(st.To, "/")
	key, _ = unescape(key)
	return bucket, key
}

// single tells that the object is copied in one call.
func (st state) single() bool { return st.Size <= min(st.Part, maxSingle) }

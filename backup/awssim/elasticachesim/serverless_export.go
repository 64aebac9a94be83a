package elasticachesim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// exportServerlessCacheSnapshot writes a snapshot of a serverless cache into a bucket, as one .rdb file whose key is the snapshot's name and
// "-0001.rdb". AWS documents neither the keys nor how many files there are: both are UNVERIFIED, and taken from what it says of exports of clusters. The
// file is there at the instant at which the snapshot is available again, and until then the snapshot is copying; both are UNVERIFIED too.
//
// The bucket is checked as for CopySnapshot, with the same messages: AWS lists none for this operation, and its User Guide gives them for both. A
// customer managed key and Memcached are refused with InvalidParameterValue (UNVERIFIED: the API says that the operation is for Valkey and Redis OSS
// only, the User Guide that Memcached can be exported). An export that is doomed writes nothing and says nothing.
//
// Source: ElastiCache API, ExportServerlessCacheSnapshot; User Guide, Exporting a backup.
func (s *ElastiCache) exportServerlessCacheSnapshot(r *awssim.Request, in *awselasticache.ExportServerlessCacheSnapshotInput) (*awselasticache.ExportServerlessCacheSnapshotOutput, error) {
	from, ok := s.at(r).serverlessSnapshots.live(lower(in.ServerlessCacheSnapshotName), r.Now)
	if !ok {
		return nil, noServerlessSnapshot(in.ServerlessCacheSnapshotName)
	}
	bucket := aws.ToString(in.S3BucketName)
	switch {
	case from.engine == "memcached":
		return nil, refuse("Serverless cache snapshot %s can not be exported: its engine is memcached.", from.name)
	case from.kms != "":
		return nil, refuse("%s", customerKeyRefusal)
	}
	store, err := admitted(r, bucket)
	if err != nil {
		return nil, err
	}
	key := from.name + "-0001.rdb"
	if store.HasObject(r, bucket, key) {
		return nil, refuse("The S3 bucket %s already contains an object with key %s.", bucket, key)
	}
	if status := from.status(r.Now); status != "available" {
		return nil, awssim.Fail("InvalidServerlessCacheSnapshotStateFault", "Serverless cache snapshot %s can not be exported: its status is %s.", from.name, status)
	}
	end := r.Now.Add(r.Took("export-serverless/"+r.Account+"/"+r.Region+"/"+bucket+"/"+from.name, copyMedian, spread))
	if !r.Doomed {
		if err := store.ServicePut(r, bucket, key, rdbFile(from.engine, from.major, from.name, from.name+"-0001"), end); err != nil {
			return nil, err
		}
	}
	from.copies = append(from.copies, span{r.Now, end})
	o := from.describe(r)
	return &awselasticache.ExportServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: &o}, nil
}

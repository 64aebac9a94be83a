package policy

import (
	"slices"
	"strings"
)

// knownKey reports whether a condition key, in small letters, is one that is known here. The keys of identity providers begin with the host.
func knownKey(key string) bool {
	service, rest, _ := strings.Cut(key, ":")
	if strings.Contains(service, ".") {
		return true
	}
	if name, tag, _ := strings.Cut(key, "/"); tag != "" && slices.Contains(tagKeys[:], name) {
		return true
	}
	for _, prefix := range [...]string{"kms:encryptioncontext:", "kms:recipientattestation:"} {
		if strings.HasPrefix(key, prefix) && len(key) > len(prefix) {
			return true
		}
	}
	return slices.Contains(strings.Fields(keysOf(service)), rest)
}

// tagKeys are the keys that go with a name of the user's, of a tag mostly. Source: as of keysOf.
var tagKeys = [...]string{"aws:principaltag", "aws:requesttag", "aws:resourcetag", "s3:existingobjecttag", "s3:requestobjecttag", "ec2:attribute",
	"ec2:resourcetag", "elasticache:resourcetag", "secretsmanager:resourcetag", "iam:resourcetag", "backup:resourcetag",
	"rds:cluster-pg-tag", "rds:cluster-snapshot-tag", "rds:cluster-tag", "rds:db-tag", "rds:es-tag", "rds:og-tag", "rds:pg-tag",
	"rds:req-tag", "rds:ri-tag", "rds:secgrp-tag", "rds:snapshot-tag", "rds:subgrp-tag"}

// keysOf gives the condition keys of a service, in small letters, without those that go with a name of the user's.
//
// Source: IAM user guide, "AWS global condition context keys"; KMS developer guide, "Condition keys for AWS KMS"; Service authorization reference,
// the pages of the services.
func keysOf(service string) string {
	switch service {
	case "aws":
		return `assumedroot calledvia calledviafirst calledvialast chatbotsourcearn currenttime ec2instancesourceprivateipv4 ec2instancesourcevpc
		epochtime federatedprovider multifactorauthage multifactorauthpresent principalaccount principalarn principalisawsservice
		principalorgid principalorgpaths principalservicename principalservicenameslist principaltype referer requestedregion resourceaccount
		resourceorgid resourceorgpaths securetransport sourceaccount sourcearn sourceidentity sourceip sourceorgid sourceorgpaths sourcevpc
		sourcevpcarn sourcevpce tagkeys tokenissuetime useragent userid username viaawsservice vpceaccount vpceorgid vpceorgpaths vpcsourceip`
	case "kms":
		return `bypasspolicylockoutsafetycheck calleraccount customermasterkeyspec customermasterkeyusage datakeypairspec encryptionalgorithm
		encryptioncontextkeys expirationmodel grantconstraintsourcearn grantconstrainttype granteeprincipal granteeserviceprincipal
		grantisforawsresource grantoperations keyagreementalgorithm keyorigin keyspec keyusage macalgorithm messagetype multiregion
		multiregionkeytype primaryregion reencryptonsamekey replicaregion requestalias resourcealiases retiringprincipal
		rotationperiodindays schedulekeydeletionpendingwindowindays signingalgorithm validto viaservice wrappingalgorithm wrappingkeyspec`
	case "s3":
		return `accessgrantsinstancearn accesspointnetworkorigin authtype dataaccesspointaccount dataaccesspointarn delimiter if-match if-none-match inventoryaccessibleoptionalfields
		jobsuspendedcause locationconstraint max-keys object-lock-legal-hold object-lock-mode object-lock-remaining-retention-days
		object-lock-retain-until-date objectcreationoperation prefix requestobjecttagkeys resourceaccount signatureage signatureversion tlsversion
		versionid x-amz-acl x-amz-content-sha256 x-amz-copy-source x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp
		x-amz-grant-write x-amz-grant-write-acp x-amz-metadata-directive x-amz-object-ownership x-amz-server-side-encryption
		x-amz-server-side-encryption-aws-kms-key-id x-amz-server-side-encryption-customer-algorithm x-amz-storage-class x-amz-website-redirect-location`
	case "ec2":
		return `attribute availabilityzone createaction encrypted instanceid instancetype location owner parentsnapshot parentvolume
		region rootdevicetype snapshotcooloffperiod snapshotid snapshotlockduration snapshottime sourceavailabilityzone sourceoutpostarn tenancy volumeid volumeiops volumesize
		volumethroughput volumetype kmskeyid public productcode imageid imagetype placementgroup sourceinstancearn outpostarn rolearn add/userid add/group remove/userid remove/group`
	case "rds":
		return `backuptarget copyoptiongroup databaseclass databaseengine databasename dbclustersnapshotidentifier endpointtype managemasteruserpassword multiaz piops
		publiclyaccessible storageencrypted storagesize tenantdatabasename vpc`
	case "elasticache":
		return `atrestencryptionenabled authtokenenabled automaticfailoverenabled cachenodetype cacheparametergroupname clustermodeenabled
		datatieringenabled engineversion enginetype kmskeyid maximumdatastorage minimumdatastorage maximumecpupersecond minimumecpupersecond multiazenabled numnodegroups
		replicaspernodegroup snapshotretentionlimit transitencryptionenabled userauthenticationmode`
	case "secretsmanager":
		return `addreplicaregions blockpublicpolicy description forcedeletewithoutrecovery forceoverwritereplicasecret kmskeyarn kmskeyid
		modifyrotationrules name recoverywindowindays resource/allowrotationlambdaarn rotateimmediately rotationlambdaarn secretid secretprimaryregion
		versionid versionstage`
	case "iam":
		return `associatedresourcearn awsservicename fido-certification fido-fips-140-2-certification organizationspolicyid passedtoservice
		permissionsboundary policyarn registersecuritykey`
	case "sts":
		return `awsservicename durationseconds externalid identitytokenaudience requestcontextproviders rolesessionname sourceidentity
		tagkeys taskpolicyarn transitivetagkeys`
	case "sns":
		return `endpoint protocol`
	case "backup":
		return `changeablefordays copytargetorgpaths copytargets frameworkarns kmskeyid maxretentiondays minretentiondays`
	}
	return ""
}

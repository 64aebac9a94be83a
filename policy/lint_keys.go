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
	"ec2:resourcetag", "secretsmanager:resourcetag", "iam:resourcetag", "s3:accesspointtag", "s3:buckettag", "sts:requestcontext",
	"rds:cluster-pg-tag", "rds:cluster-snapshot-tag", "rds:cluster-tag", "rds:db-tag", "rds:es-tag", "rds:og-tag", "rds:pg-tag",
	"rds:req-tag", "rds:ri-tag", "rds:secgrp-tag", "rds:snapshot-tag", "rds:subgrp-tag"}

// keysOf gives the condition keys of a service, in small letters, without those that go with a name of the user's.
//
// Source: Service authorization reference, the pages of the services, as of March 2026; IAM user guide, "AWS global condition context keys"; for
// kms:GrantConstraintSourceArn and kms:GranteeServicePrincipal, which are newer, KMS developer guide, "Condition keys for AWS KMS".
func keysOf(service string) string {
	switch service {
	case "aws":
		return `assumedroot calledvia calledviafirst calledvialast chatbotsourcearn currenttime ec2instancesourceprivateipv4 ec2instancesourcevpc epochtime
			federatedprovider multifactorauthage multifactorauthpresent principalaccount principalarn principalisawsservice principalorgid principalorgpaths
			principalservicename principalservicenameslist principaltype referer requestedregion resourceaccount resourceorgid resourceorgpaths
			securetransport sourceaccount sourcearn sourceidentity sourceip sourceorgid sourceorgpaths sourcevpc sourcevpcarn sourcevpce tagkeys
			tokenissuetime useragent userid username viaawsservice vpceaccount vpceorgid vpceorgpaths vpcsourceip`
	case "kms":
		return `bypasspolicylockoutsafetycheck calleraccount customermasterkeyspec customermasterkeyusage datakeypairspec encryptionalgorithm
			encryptioncontextkeys expirationmodel grantconstraintsourcearn grantconstrainttype granteeprincipal granteeserviceprincipal grantisforawsresource
			grantoperations keyagreementalgorithm keyorigin keyspec keyusage macalgorithm messagetype multiregion multiregionkeytype primaryregion
			reencryptonsamekey replicaregion requestalias resourcealiases retiringprincipal rotationperiodindays schedulekeydeletionpendingwindowindays
			signingalgorithm validto viaservice wrappingalgorithm wrappingkeyspec`
	case "s3":
		return `accessgrantscope accessgrantsinstancearn accessgrantslocationscope accesspointnetworkorigin authtype dataaccesspointaccount dataaccesspointarn
			delimiter destinationregion existingjoboperation existingjobpriority if-match if-none-match
			inventoryaccessibleoptionalfields isreplicationpauserequest jobsuspendedcause locationconstraint max-keys object-lock-legal-hold object-lock-mode
			object-lock-remaining-retention-days object-lock-retain-until-date objectcreationoperation prefix requestjoboperation requestjobpriority
			requestobjecttag/<key> requestobjecttagkeys resourceaccount signatureage signatureversion tlsversion versionid x-amz-acl x-amz-content-sha256
			x-amz-copy-source x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp x-amz-grant-write x-amz-grant-write-acp x-amz-metadata-directive
			x-amz-object-ownership x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id x-amz-server-side-encryption-customer-algorithm
			x-amz-storage-class x-amz-website-redirect-location`
	case "ec2":
		return `acceptervpc add/group add/userid allocationid associatepublicipaddress attribute authenticationtype authorizedservice authorizeduser
			autoplacement availabilityzone availabilityzoneid capacityreservationfleet clientrootcertificatechainarn cloudwatchloggrouparn
			cloudwatchlogstreamarn commitmentduration cpuoptionsamdsevsnp createaction createdate destinationcapacityreservationid dhcpoptionsid directoryarn
			domain dpdtimeoutseconds ebsoptimized elasticgputype encrypted enddate enddatetype ephemeralstorage fisactionid fistargetarns gatewaytype
			hostrecovery ikeversions imageid imagetype insidetunnelcidr insidetunnelipv6cidr instanceautorecovery instancebandwidthweighting instancecount
			instanceid instancemarkettype instancematchcriteria instancemetadatatags instanceplatform instanceprofile instancetype internetgatewayid
			interruptiblecapacityreservationid interruptiontype ipamprefixlistresolvertargetid ipv4ipampoolid ipv6ipampoolid isinterruptible
			islaunchtemplateresource keypairname keypairtype kmskeyid launchtemplate location managedresourceoperator metadatahttpendpoint
			metadatahttpputresponsehoplimit metadatahttptokens networkaclid networkinterfaceid newinstanceprofile osuser outpostarn owner parentsnapshot
			parentvolume permission phase1dhgroup phase1encryptionalgorithms phase1integrityalgorithms phase1lifetimeseconds phase2dhgroup
			phase2encryptionalgorithms phase2integrityalgorithms phase2lifetimeseconds placementgroup placementgroupname placementgroupstrategy productcode
			public publicipaddress quantity region rekeyfuzzpercentage rekeymargintimeseconds remove/group remove/userid replaywindowsizepackets requestervpc
			reservedinstancesofferingtype roledelivery rootdevicetype routetableid routingtype samlproviderarn securitygroupid servercertificatearn
			snapshotcooloffperiod snapshotid snapshotlockduration snapshottime sourceavailabilityzone sourcecapacityreservationid sourceinstancearn
			sourceoutpostarn subnet subnetid targetinstancecount tenancy transitgatewayattachmentid transitgatewayconnectpeerid transitgatewayid
			transitgatewaymeteringpolicyid transitgatewaymulticastdomainid transitgatewaypolicytableid transitgatewayroutetableannouncementid
			transitgatewayroutetableid volumeid volumeinitializationrate volumeiops volumesize volumethroughput volumetype vpc vpcemultiregion
			vpceprivatednspreference vpceprivatednsspecifieddomains vpceservicename vpceserviceowner vpceserviceprivatednsname vpceserviceregion
			vpcesupportedregion vpcid vpcpeeringconnectionid`
	case "rds":
		return `backuptarget copyoptiongroup databaseclass databaseengine databasename endpointtype managemasteruserpassword multiaz piops publiclyaccessible
			storageencrypted storagesize tagsfromrequest tenantdatabasename vpc`
	case "elasticache":
		return `atrestencryptionenabled authtokenenabled automaticfailoverenabled cachenodetype cacheparametergroupname clustermodeenabled datastorageunit
			enginetype engineversion kmskeyid maximumdatastorage maximumecpupersecond minimumdatastorage minimumecpupersecond multiazenabled numnodegroups
			replicaspernodegroup snapshotretentionlimit transitencryptionenabled userauthenticationmode`
	case "secretsmanager":
		return `addreplicaregions blockpublicpolicy description externalsecretrotationrolearn forcedeletewithoutrecovery forceoverwritereplicasecret kmskeyarn
			kmskeyid modifyrotationrules name recoverywindowindays resource/allowrotationlambdaarn resource/type resourcetag/tag-key rotateimmediately
			rotationlambdaarn secretid secretprimaryregion type versionid versionstage`
	case "iam":
		return `associatedresourcearn awsservicename delegationduration delegationrequestowner fido-certification fido-fips-140-2-certification
			fido-fips-140-3-certification notificationchannel organizationspolicyid passedtoservice permissionsboundary policyarn registersecuritykey
			servicespecificcredentialagedays servicespecificcredentialservicename templatearn`
	case "sts":
		return `awsservicename durationseconds externalid identitytokenaudience requestcontextproviders rolesessionname signingalgorithm sourceidentity
			taskpolicyarn transitivetagkeys`
	case "saml":
		return `aud cn commonname doc edupersonaffiliation edupersonassurance edupersonentitlement edupersonnickname edupersonorgdn edupersonorgunitdn
			edupersonprimaryaffiliation edupersonprimaryorgunitdn edupersonprincipalname edupersonscopedaffiliation edupersontargetedid
			eduorghomepageuri eduorgidentityauthnpolicyuri eduorglegalname eduorgsuperioruri eduorgwhitepagesuri givenname iss mail name namequalifier
			organizationstatus primarygroupsid sub sub_type surname uid x500uniqueidentifier`
	case "sns":
		return `endpoint protocol`
	case "backup":
		return `changeablefordays copytargetorgpaths copytargets frameworkarns index maxretentiondays minretentiondays mpaapprovalteamarn`
	}
	return ""
}

"""The fields of the built-in kinds, in a notation of one line per type, which schema.py reads.

    Type: field:type field!:type field:type=default ...

`!` is a required field; a default is filled in where the struct that has the field is there. A type is a word of
SCALARS, `any`, another Type, `{type}` (a map), `[type]` (a list that is replaced as a whole), `[type*]` (a set) or
`[Type|key,key]` (a list of items that are told apart by their keys; strategic merges take the first key). A Type that
is `atomic` has one owner for all of it under server-side apply. A Type that is `open` may have fields not named here.

Fields that few manifests have are missing. A manifest with one is refused, as the real server refuses a misspelt one.
"""

SCALARS = {"str", "int", "float", "bool", "quantity", "intstr", "time", "bytes"}

META = """
ObjectMeta: name:str generateName:str namespace:str selfLink:str uid:str resourceVersion:str generation:int
  creationTimestamp:time deletionTimestamp:time deletionGracePeriodSeconds:int labels:{str} annotations:{str}
  ownerReferences:[OwnerReference|uid] finalizers:[str*] managedFields:[any]
OwnerReference atomic: apiVersion!:str kind!:str name!:str uid!:str controller:bool blockOwnerDeletion:bool
LabelSelector atomic: matchLabels:{str} matchExpressions:[LabelSelectorRequirement]
LabelSelectorRequirement: key!:str operator!:str values:[str]
LocalObjectReference atomic: name:str=
ObjectReference atomic: apiVersion:str kind:str namespace:str name:str uid:str resourceVersion:str fieldPath:str
TypedLocalObjectReference atomic: apiGroup:str kind!:str name!:str
TypedObjectReference: apiGroup:str kind!:str name!:str namespace:str
Condition: type!:str status!:str reason:str message:str observedGeneration:int lastTransitionTime:time
  lastUpdateTime:time lastProbeTime:time lastHeartbeatTime:time
"""

PODS = """
Pod: spec:PodSpec status:PodStatus
PodTemplateSpec: metadata:ObjectMeta spec:PodSpec
PodTemplate: template:PodTemplateSpec
PodSpec: activeDeadlineSeconds:int affinity:any automountServiceAccountToken:bool containers!:[Container|name]
  dnsConfig:any dnsPolicy:str=ClusterFirst enableServiceLinks:bool=true ephemeralContainers:[any]
  hostAliases:[HostAlias|ip] hostIPC:bool hostNetwork:bool hostPID:bool hostUsers:bool hostname:str
  imagePullSecrets:[LocalObjectReference|name] initContainers:[Container|name] nodeName:str
  nodeSelector:{str}@ os:any overhead:{quantity} preemptionPolicy:str=PreemptLowerPriority priority:int
  priorityClassName:str readinessGates:[any] resourceClaims:[PodResourceClaim|name] resources:ResourceRequirements
  restartPolicy:str=Always runtimeClassName:str schedulerName:str=default-scheduler
  schedulingGates:[PodSchedulingGate|name] securityContext:PodSecurityContext={} serviceAccount:str
  serviceAccountName:str setHostnameAsFQDN:bool shareProcessNamespace:bool subdomain:str
  terminationGracePeriodSeconds:int=30 tolerations:[Toleration]
  topologySpreadConstraints:[TopologySpreadConstraint|topologyKey,whenUnsatisfiable] volumes:[Volume|name]
PodStatus open: phase:str message:str reason:str nominatedNodeName:str hostIP:str hostIPs:[HostIP] podIP:str
  podIPs:[PodIP|ip] startTime:time qosClass:str observedGeneration:int conditions:[Condition|type]
  containerStatuses:[any] initContainerStatuses:[any] ephemeralContainerStatuses:[any] resize:str
HostIP: ip:str
PodIP: ip:str
HostAlias: ip!:str hostnames:[str]
PodResourceClaim: name!:str resourceClaimName:str resourceClaimTemplateName:str
PodSchedulingGate: name!:str
PodSecurityContext: appArmorProfile:any fsGroup:int fsGroupChangePolicy:str runAsGroup:int runAsNonRoot:bool
  runAsUser:int seLinuxChangePolicy:str seLinuxOptions:any seccompProfile:any supplementalGroups:[int]
  supplementalGroupsPolicy:str sysctls:[any] windowsOptions:any
Toleration: key:str operator:str value:str effect:str tolerationSeconds:int
TopologySpreadConstraint: maxSkew!:int topologyKey!:str whenUnsatisfiable!:str labelSelector:LabelSelector
  minDomains:int matchLabelKeys:[str] nodeAffinityPolicy:str nodeTaintsPolicy:str
Container: name!:str image!:str args:[str] command:[str] env:[EnvVar|name] envFrom:[EnvFromSource]
  imagePullPolicy:str lifecycle:Lifecycle livenessProbe:Probe ports:[ContainerPort|containerPort,protocol]
  readinessProbe:Probe resizePolicy:[any] resources:ResourceRequirements={} restartPolicy:str
  restartPolicyRules:[any] securityContext:SecurityContext startupProbe:Probe stdin:bool stdinOnce:bool
  terminationMessagePath:str=/dev/termination-log terminationMessagePolicy:str=File tty:bool
  volumeDevices:[VolumeDevice|devicePath] volumeMounts:[VolumeMount|mountPath] workingDir:str
ContainerPort: name:str containerPort!:int protocol:str=TCP hostPort:int hostIP:str
EnvVar: name!:str value:str valueFrom:EnvVarSource
EnvVarSource: configMapKeyRef:KeySelector fieldRef:ObjectFieldSelector resourceFieldRef:ResourceFieldSelector
  secretKeyRef:KeySelector
KeySelector atomic: name:str= key!:str optional:bool
ObjectFieldSelector atomic: apiVersion:str=v1 fieldPath!:str
ResourceFieldSelector atomic: containerName:str resource!:str divisor:quantity=0
EnvFromSource: prefix:str configMapRef:EnvSource secretRef:EnvSource
EnvSource: name:str= optional:bool
Lifecycle: postStart:LifecycleHandler preStop:LifecycleHandler stopSignal:str
LifecycleHandler: exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction
SleepAction: seconds!:int
ExecAction: command:[str]
HTTPGetAction: path:str=/ port!:intstr host:str scheme:str=HTTP httpHeaders:[HTTPHeader]
HTTPHeader: name!:str value!:str
TCPSocketAction: port!:intstr host:str
GRPCAction: port!:int service:str=
Probe: exec:ExecAction grpc:GRPCAction httpGet:HTTPGetAction tcpSocket:TCPSocketAction initialDelaySeconds:int
  timeoutSeconds:int=1 periodSeconds:int=10 successThreshold:int=1 failureThreshold:int=3
  terminationGracePeriodSeconds:int
ResourceRequirements: limits:{quantity} requests:{quantity} claims:[ResourceClaim|name]
ResourceClaim: name!:str request:str
SecurityContext: allowPrivilegeEscalation:bool appArmorProfile:any capabilities:Capabilities privileged:bool
  procMount:str readOnlyRootFilesystem:bool runAsGroup:int runAsNonRoot:bool runAsUser:int seLinuxOptions:any
  seccompProfile:any windowsOptions:any
Capabilities: add:[str] drop:[str]
VolumeDevice: name!:str devicePath!:str
VolumeMount: name!:str mountPath!:str mountPropagation:str readOnly:bool recursiveReadOnly:str subPath:str
  subPathExpr:str
Volume: name!:str configMap:ConfigMapVolume csi:any downwardAPI:DownwardAPIVolume emptyDir:EmptyDirVolume
  ephemeral:any fc:any hostPath:HostPathVolume image:any iscsi:any nfs:any
  persistentVolumeClaim:PersistentVolumeClaimVolume projected:ProjectedVolume secret:SecretVolume
ConfigMapVolume: name:str= defaultMode:int=420 items:[KeyToPath] optional:bool
KeyToPath: key!:str path!:str mode:int
DownwardAPIVolume: defaultMode:int=420 items:[DownwardAPIVolumeFile]
DownwardAPIVolumeFile: path!:str mode:int fieldRef:ObjectFieldSelector resourceFieldRef:ResourceFieldSelector
EmptyDirVolume: medium:str sizeLimit:quantity
HostPathVolume: path!:str type:str=
PersistentVolumeClaimVolume: claimName!:str readOnly:bool
ProjectedVolume: defaultMode:int=420 sources:[any]
SecretVolume: secretName:str defaultMode:int=420 items:[KeyToPath] optional:bool
"""

WORKLOADS = """
Deployment: spec:DeploymentSpec status:DeploymentStatus
DeploymentSpec: replicas:int=1 selector!:LabelSelector template!:PodTemplateSpec strategy:DeploymentStrategy={}
  minReadySeconds:int revisionHistoryLimit:int=10 paused:bool progressDeadlineSeconds:int=600
DeploymentStrategy: type:str=RollingUpdate rollingUpdate:RollingUpdateDeployment
RollingUpdateDeployment: maxSurge:intstr maxUnavailable:intstr
DeploymentStatus: observedGeneration:int replicas:int updatedReplicas:int readyReplicas:int availableReplicas:int
  unavailableReplicas:int terminatingReplicas:int collisionCount:int conditions:[Condition|type]
ReplicaSet: spec:ReplicaSetSpec status:ReplicaSetStatus
ReplicaSetSpec: replicas:int=1 selector!:LabelSelector template:PodTemplateSpec minReadySeconds:int
ReplicaSetStatus: observedGeneration:int replicas:int fullyLabeledReplicas:int readyReplicas:int
  availableReplicas:int terminatingReplicas:int conditions:[Condition|type]
ReplicationController: spec:ReplicationControllerSpec status:ReplicaSetStatus
ReplicationControllerSpec: replicas:int=1 selector:{str}@ template:PodTemplateSpec minReadySeconds:int
StatefulSet: spec:StatefulSetSpec status:StatefulSetStatus
StatefulSetSpec: replicas:int=1 selector!:LabelSelector template!:PodTemplateSpec serviceName:str=
  podManagementPolicy:str=OrderedReady updateStrategy:StatefulSetUpdateStrategy={} revisionHistoryLimit:int=10
  minReadySeconds:int volumeClaimTemplates:[PersistentVolumeClaimTemplate] ordinals:any
  persistentVolumeClaimRetentionPolicy:any
StatefulSetUpdateStrategy: type:str=RollingUpdate rollingUpdate:RollingUpdateStatefulSet
RollingUpdateStatefulSet: partition:int maxUnavailable:intstr
StatefulSetStatus: observedGeneration:int replicas:int readyReplicas:int currentReplicas:int updatedReplicas:int
  availableReplicas:int currentRevision:str updateRevision:str collisionCount:int conditions:[Condition|type]
PersistentVolumeClaimTemplate: apiVersion:str kind:str metadata:ObjectMeta spec:PersistentVolumeClaimSpec
  status:PersistentVolumeClaimStatus
DaemonSet: spec:DaemonSetSpec status:DaemonSetStatus
DaemonSetSpec: selector!:LabelSelector template!:PodTemplateSpec updateStrategy:DaemonSetUpdateStrategy={}
  minReadySeconds:int revisionHistoryLimit:int=10
DaemonSetUpdateStrategy: type:str=RollingUpdate rollingUpdate:RollingUpdateDaemonSet
RollingUpdateDaemonSet: maxSurge:intstr maxUnavailable:intstr
DaemonSetStatus: observedGeneration:int currentNumberScheduled:int numberMisscheduled:int
  desiredNumberScheduled:int numberReady:int updatedNumberScheduled:int numberAvailable:int numberUnavailable:int
  collisionCount:int conditions:[Condition|type]
ControllerRevision: data:any revision!:int
Job: spec:JobSpec status:JobStatus
JobSpec: parallelism:int completions:int activeDeadlineSeconds:int podFailurePolicy:any successPolicy:any
  backoffLimit:int=6 backoffLimitPerIndex:int maxFailedIndexes:int selector:LabelSelector manualSelector:bool=false
  template!:PodTemplateSpec ttlSecondsAfterFinished:int completionMode:str=NonIndexed suspend:bool=false
  podReplacementPolicy:str=TerminatingOrFailed managedBy:str
JobStatus: conditions:[Condition] startTime:time completionTime:time active:int ready:int succeeded:int failed:int
  terminating:int completedIndexes:str failedIndexes:str uncountedTerminatedPods:any
CronJob: spec:CronJobSpec status:CronJobStatus
CronJobSpec: schedule!:str timeZone:str startingDeadlineSeconds:int concurrencyPolicy:str=Allow suspend:bool=false
  jobTemplate!:JobTemplateSpec successfulJobsHistoryLimit:int=3 failedJobsHistoryLimit:int=1
JobTemplateSpec: metadata:ObjectMeta spec:JobSpec
CronJobStatus: active:[ObjectReference] lastScheduleTime:time lastSuccessfulTime:time
HorizontalPodAutoscaler: spec:HorizontalPodAutoscalerSpec status:any
HorizontalPodAutoscalerSpec: scaleTargetRef!:CrossVersionObjectReference minReplicas:int=1 maxReplicas!:int
  metrics:[any] behavior:any
CrossVersionObjectReference: apiVersion:str kind!:str name!:str
PodDisruptionBudget: spec:PodDisruptionBudgetSpec status:any
PodDisruptionBudgetSpec: minAvailable:intstr maxUnavailable:intstr selector:LabelSelector
  unhealthyPodEvictionPolicy:str
Scale: spec:ScaleSpec status:any
ScaleSpec: replicas:int
"""

THE_REST = """
Namespace: spec:NamespaceSpec status:NamespaceStatus
NamespaceSpec: finalizers:[str]
NamespaceStatus: phase:str conditions:[Condition|type]
ConfigMap: data:{str} binaryData:{bytes} immutable:bool
Secret: data:{bytes} stringData:{str} type:str=Opaque immutable:bool
Service: spec:ServiceSpec status:any
ServiceSpec: ports:[ServicePort|port,protocol] selector:{str}@ clusterIP:str clusterIPs:[str] type:str=ClusterIP
  externalIPs:[str] sessionAffinity:str=None loadBalancerIP:str loadBalancerSourceRanges:[str] externalName:str
  externalTrafficPolicy:str healthCheckNodePort:int publishNotReadyAddresses:bool sessionAffinityConfig:any
  ipFamilies:[str] ipFamilyPolicy:str allocateLoadBalancerNodePorts:bool loadBalancerClass:str
  internalTrafficPolicy:str trafficDistribution:str
ServicePort: name:str protocol:str=TCP appProtocol:str port!:int targetPort:intstr nodePort:int
ServiceAccount: secrets:[ObjectReference|name] imagePullSecrets:[LocalObjectReference] automountServiceAccountToken:bool
PersistentVolumeClaim: spec:PersistentVolumeClaimSpec status:PersistentVolumeClaimStatus
PersistentVolumeClaimSpec: accessModes:[str] selector:LabelSelector resources:VolumeResourceRequirements
  volumeName:str storageClassName:str volumeMode:str=Filesystem dataSource:TypedLocalObjectReference
  dataSourceRef:TypedObjectReference volumeAttributesClassName:str
VolumeResourceRequirements: limits:{quantity} requests:{quantity}
PersistentVolumeClaimStatus: phase:str=Pending accessModes:[str] capacity:{quantity} conditions:[Condition|type]
  allocatedResources:{quantity} allocatedResourceStatuses:{str} currentVolumeAttributesClassName:str
  modifyVolumeStatus:any
PersistentVolume: spec:any status:any
StorageClass: provisioner!:str parameters:{str} reclaimPolicy:str=Delete mountOptions:[str]
  allowVolumeExpansion:bool volumeBindingMode:str=Immediate allowedTopologies:[any]
Endpoints: subsets:[any]
EndpointSlice: addressType!:str endpoints:[any] ports:[any]
Event: involvedObject:ObjectReference reason:str message:str source:EventSource firstTimestamp:time
  lastTimestamp:time count:int type:str eventTime:time series:any action:str related:ObjectReference
  reportingComponent:str reportingInstance:str
EventSource: component:str host:str
Node: spec:any status:any
LimitRange: spec:any
ResourceQuota: spec:any status:any
Ingress: spec:IngressSpec status:any
IngressSpec: ingressClassName:str defaultBackend:any tls:[IngressTLS] rules:[IngressRule]
IngressTLS: hosts:[str] secretName:str
IngressRule: host:str http:HTTPIngressRuleValue
HTTPIngressRuleValue: paths!:[HTTPIngressPath]
HTTPIngressPath: path:str pathType!:str backend!:IngressBackend
IngressBackend: service:IngressServiceBackend resource:TypedLocalObjectReference
IngressServiceBackend: name!:str port:ServiceBackendPort
ServiceBackendPort atomic: name:str number:int
IngressClass: spec:any
NetworkPolicy: spec:NetworkPolicySpec
NetworkPolicySpec: podSelector:LabelSelector ingress:[any] egress:[any] policyTypes:[str]
Role: rules:[PolicyRule]
ClusterRole: rules:[PolicyRule] aggregationRule:any
PolicyRule: verbs!:[str] apiGroups:[str] resources:[str] resourceNames:[str] nonResourceURLs:[str]
RoleBinding: subjects:[Subject] roleRef!:RoleRef
ClusterRoleBinding: subjects:[Subject] roleRef!:RoleRef
RoleRef atomic: apiGroup:str=rbac.authorization.k8s.io kind!:str name!:str
Subject atomic: kind!:str apiGroup:str name!:str namespace:str
PriorityClass: value!:int globalDefault:bool description:str preemptionPolicy:str=PreemptLowerPriority
Lease: spec:any
CustomResourceDefinition: spec:CustomResourceDefinitionSpec status:any
CustomResourceDefinitionSpec: group!:str names!:CustomResourceDefinitionNames scope!:str
  versions!:[CustomResourceDefinitionVersion] conversion:any preserveUnknownFields:bool
CustomResourceDefinitionNames: plural!:str singular:str shortNames:[str] kind!:str listKind:str categories:[str]
CustomResourceDefinitionVersion: name!:str served!:bool storage!:bool deprecated:bool deprecationWarning:str
  schema:any subresources:any additionalPrinterColumns:[any] selectableFields:[any]
"""

ALL = META + PODS + WORKLOADS + THE_REST

metadata description = 'A Health Data Services workspace with one DICOM service, and who may use it. See docs/azure.md.'

targetScope = 'resourceGroup'

@description('Azure region of workspace and service. Not every region has Health Data Services.')
param location string = resourceGroup().location

@description('Name of the workspace: 3 to 24 lower-case letters and digits. It begins the URL of the service, so it is unique in all of Azure.')
@minLength(3)
@maxLength(24)
param workspaceName string

@description('Name of the DICOM service in the workspace: 3 to 24 lower-case letters, digits and inner hyphens. It ends the first label of the URL.')
@minLength(3)
@maxLength(24)
param dicomServiceName string = 'imaging'

@description('Version of the DICOMweb API that clients are told to use.')
@allowed([
  'v1'
  'v2'
])
param apiVersion string = 'v2'

@description('Whether the service answers on the public internet. Disabled asks for a private endpoint, and for a nightly run inside that network.')
@allowed([
  'Enabled'
  'Disabled'
])
param publicNetworkAccess string = 'Enabled'

@description('Object id of the service principal of the nightly run. It stores, reads and deletes what it stored: DICOM Data Owner.')
@minLength(36)
@maxLength(36)
param ownerPrincipalId string

@description('Object id of the service principal of the nightly run that may only read, for the checks of roles: DICOM Data Reader.')
@minLength(36)
@maxLength(36)
param readerPrincipalId string

@description('Object id of the service principal of the on-prem DICOM router: DICOM Data Owner.')
@minLength(36)
@maxLength(36)
param routerPrincipalId string

@description('Origins of viewers in a browser that may call the service, each as https://host. Empty: none.')
@maxLength(10)
param corsOrigins array = []

var dicomDataOwner = '58a3b984-7adf-4c20-983a-32417c86fbc8'
var dicomDataReader = 'e89c7a3c-2f64-4fa1-a847-3e4c9ba4283a'

var grants = [
  {
    principalId: ownerPrincipalId
    role: dicomDataOwner
  }
  {
    principalId: readerPrincipalId
    role: dicomDataReader
  }
  {
    principalId: routerPrincipalId
    role: dicomDataOwner
  }
]

resource workspace 'Microsoft.HealthcareApis/workspaces@2024-03-31' = {
  name: workspaceName
  location: location
  properties: {
    publicNetworkAccess: publicNetworkAccess
  }
}

resource dicomService 'Microsoft.HealthcareApis/workspaces/dicomservices@2024-03-31' = {
  parent: workspace
  name: dicomServiceName
  location: location
  properties: {
    publicNetworkAccess: publicNetworkAccess
    corsConfiguration: empty(corsOrigins) ? null : {
      origins: corsOrigins
      headers: [
        '*'
      ]
      methods: [
        'GET'
        'OPTIONS'
      ]
      maxAge: 600
      allowCredentials: false
    }
  }
}

// The name follows from what is granted to whom, so that a second deployment finds the first one's assignments.
resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for grant in grants: {
  name: guid(dicomService.id, grant.principalId, grant.role)
  scope: dicomService
  properties: {
    principalId: grant.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
  }
}]

@description('Where the service is reached, without a version: AZURE_DICOM_URL of the nightly run, roles.cloud.url of a profile.')
output serviceUrl string = dicomService.properties.serviceUrl

@description('The base URL that DICOMweb clients are given.')
output dicomWebUrl string = '${dicomService.properties.serviceUrl}/${apiVersion}'

@description('The tenant that gives out tokens for the service: AZURE_TENANT_ID of the nightly run.')
output tenantId string = tenant().tenantId

-- Health of a Terminal (openwebui.com/v1alpha1) for Argo CD.
local health = {status = "Progressing", message = "Waiting for the operator"}
if obj.spec ~= nil and obj.spec.suspend == true then
  return {status = "Suspended", message = "spec.suspend is true"}
end
local status = obj.status
if status == nil then
  return health
end
if status.observedGeneration ~= nil and status.observedGeneration ~= obj.metadata.generation then
  health.message = "The operator has not seen this version yet"
  return health
end
local message = status.message
local ready = false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    return {status = "Degraded", message = condition.message or message or condition.reason}
  end
  if condition.type == "Ready" then
    ready = condition.status == "True"
    message = condition.message or message
  end
end
if status.phase == "Error" then
  return {status = "Degraded", message = message or "Error"}
end
-- An idle terminal has no Pod, and is as it should be: the next request brings the Pod back.
if status.phase == "Idle" or ready then
  return {status = "Healthy", message = message or status.phase}
end
health.message = message or status.phase or health.message
return health

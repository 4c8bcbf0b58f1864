-- Every request is different: the path, a cookie and the request ID change each time.
local number = 0
local parts = {}

function init(arguments)
  wrk.headers["Cookie"] = "session=@; " .. (wrk.headers["Cookie"] or "")
  wrk.headers["X-Request-ID"] = "0123456789abcdef-@"
  local head = wrk.format("GET", "/unlike/@")
  for part in (head .. "@"):gmatch("([^@]*)@") do
    parts[#parts + 1] = part
  end
end

function request()
  number = number + 1
  return table.concat(parts, tostring(number))
end

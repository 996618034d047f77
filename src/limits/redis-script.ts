// The Lua scripts that Redis runs for limits: the arithmetic of gcra.ts, each in one step and by Redis's own clock. A limit of 0 is no limit.
// All keys of a workspace share one hash tag, so that a cluster keeps them together.
import type { LimitReason } from "./gcra.ts";
import type { Account } from "./memory-store.ts";

/** How long the entry of an open call lives in Redis. A process renews its entries in time; those of a killed process lapse. */
export const ENTRY_MS = 60_000;

/** In the order of the codes with which ENTER refuses. */
export const REASONS: readonly LimitReason[] = [
  "rate_limited",
  "too_many_streams",
  "too_many_bytes",
];

const METERS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local function ahead(key, limit)
  local stored = redis.call('GET', key)
  if not stored then return 0 end
  local paid_at, before = stored:match('^(%S+) (%S+)$')
  return math.max(0, paid_at - now) * math.min(1, before / limit)
end
local function add(key, units, limit)
  local ms = math.min(ahead(key, limit) + units * 60000 / limit, 86400000)
  redis.call('SET', key, string.format('%.17g %.17g', now + ms, limit), 'PX', math.ceil(ms) + 1000)
end
local function put_entry(key, id, ms)
  redis.call('ZADD', key, string.format('%.17g', now + ms), id)
  redis.call('PEXPIRE', key, ms + 1000)
end
`;

/**
 * Admits a call. KEYS: the agent's requests, bytes, open; the workspace's requests, bytes, open, websockets. ARGV: the entry's id, its life in
 * milliseconds, 1 for a WebSocket, the limits in the order of the keys. Answers {0} if the call is admitted, else {code, milliseconds to wait}.
 */
export const ENTER = `${METERS}
local code, wait = 0, 0
local function refuse(one, ms)
  if code == 0 then code = one end
  wait = math.max(wait, ms)
end
local function limit_of(i) return tonumber(ARGV[i + 3]) end
local function requests(i)
  local limit = limit_of(i)
  if limit == 0 then return end
  local each = 60000 / limit
  local ms = ahead(KEYS[i], limit) + each - math.ceil(limit / 6) * each
  if ms > 0.001 then refuse(1, ms) end
end
local function is_full(i)
  local limit = limit_of(i)
  if limit == 0 then return false end
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  return redis.call('ZCARD', KEYS[i]) >= limit
end
local function bytes(i)
  local limit = limit_of(i)
  if limit == 0 then return end
  local ms = ahead(KEYS[i], limit) - 10000
  if ms > 0.001 then refuse(3, ms) end
end
local is_websocket = ARGV[3] == '1'
requests(1)
if is_full(3) then refuse(2, 1000) end
bytes(2)
requests(4)
if is_full(6) or (is_websocket and is_full(7)) then refuse(2, 1000) end
bytes(5)
if code > 0 then return {code, math.ceil(wait - 0.001)} end
for _, i in ipairs({1, 4}) do
  if limit_of(i) > 0 then add(KEYS[i], 1, limit_of(i)) end
end
for _, i in ipairs({3, 6, 7}) do
  if limit_of(i) > 0 and (i < 7 or is_websocket) then put_entry(KEYS[i], ARGV[1], tonumber(ARGV[2])) end
end
return {0}
`;

/**
 * KEYS as for ENTER. ARGV: bytes to charge, an entry's life in milliseconds, the limits in the order of the keys, then entries: \`-\` before one that
 * has ended, \`+\` before one to renew, \`~\` before one of a WebSocket to renew.
 */
export const SETTLE = `${METERS}
local function limit_of(i) return tonumber(ARGV[i + 2]) end
local bytes = tonumber(ARGV[1])
for _, i in ipairs({2, 5}) do
  if bytes > 0 and limit_of(i) > 0 then add(KEYS[i], bytes, limit_of(i)) end
end
for n = 10, #ARGV do
  local sign, id = ARGV[n]:sub(1, 1), ARGV[n]:sub(2)
  for _, i in ipairs({3, 6, 7}) do
    if sign == '-' then
      redis.call('ZREM', KEYS[i], id)
    elseif limit_of(i) > 0 and (i < 7 or sign == '~') then
      put_entry(KEYS[i], id, tonumber(ARGV[2]))
    end
  end
end
return 0
`;

/** KEYS of both scripts. */
export function keysOf({
  workspaceId,
  agentId,
}: Pick<Account, "workspaceId" | "agentId">): string[] {
  const workspace = `x3sproxy:{${workspaceId}}`;
  const agent = `${workspace}:${agentId}`;
  return [
    `${agent}:requests`,
    `${agent}:bytes`,
    `${agent}:open`,
    `${workspace}:requests`,
    `${workspace}:bytes`,
    `${workspace}:open`,
    `${workspace}:websockets`,
  ];
}

export const NO_LIMITS: readonly string[] = Array.from({ length: 7 }, () => "0");

/** The limits as both scripts take them. */
export function limitArguments({
  limits,
  workspaceLimits,
}: Pick<Account, "limits" | "workspaceLimits">): string[] {
  return [
    limits.requestsPerMinute,
    limits.bytesPerMinute,
    limits.openStreams,
    workspaceLimits.requestsPerMinute,
    workspaceLimits.bytesPerMinute,
    workspaceLimits.openStreams,
    workspaceLimits.openWebsockets,
  ].map((limit) => String(limit ?? 0));
}

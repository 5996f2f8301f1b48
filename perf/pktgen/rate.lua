-- The highest rate without loss, by halving (RFC 2544, section 26.1), for what one of the .pkt files
-- beside this one has set up: load that one first (pktgen -f FILE.pkt), then this (load rate.lua).
--
-- Port 0 sends; what counts as answered comes back to port `answers`: SYN-ACKs or resets by Tidegate to
-- port 0 itself, forwarded frames to port 1.
package.path = package.path .. ";?.lua;test/?.lua;app/?.lua;../?.lua"
require "Pktgen"

local sends, answers = 0, tonumber(os.getenv("TG_ANSWERS") or "0")
local seconds, pause = 10, 2000 -- of a trial; ms for what is under way to arrive
local lost = tonumber(os.getenv("TG_LOSS") or "0") -- per cent that may be lost

local function port(i) return pktgen.portStats(tostring(i), "port")[i] end

-- Packets sent and answered at `rate` per cent of the line.
local function trial(rate)
	pktgen.clr()
	pktgen.set(tostring(sends), "rate", rate)
	pktgen.start(tostring(sends))
	pktgen.delay(seconds * 1000)
	pktgen.stop(tostring(sends))
	pktgen.delay(pause)
	local tx, rx = port(sends).opackets, port(answers).ipackets
	printf("rate %8.4f %%: sent %d (%.3f Mpps), answered %d (%.2f %%)\n", rate, tx, tx / seconds / 1e6, rx,
		tx > 0 and 100 * rx / tx or 0)
	return tx, rx
end

local low, high, best = 0, 100, 0
for _ = 1, 12 do
	local rate = (low + high) / 2
	local tx, rx = trial(rate)
	if tx > 0 and rx >= tx * (1 - lost / 100) then
		low, best = rate, tx / seconds
	else
		high = rate
	end
end
printf("without loss beyond %g %%: %.3f Mpps (%.4f %% of the line)\n", lost, best / 1e6, low)

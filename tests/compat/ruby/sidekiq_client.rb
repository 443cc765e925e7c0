# What an application asks of Sidekiq, a line a step; the worker runs beside.

require_relative "sidekiq_app"
require "sidekiq/api"

$stdout.sync = true

def until_true(what, seconds = 30)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
  until yield
    raise "not in time: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
    sleep 0.05
  end
  puts what
end

def value(key)
  Sidekiq.redis { |redis| redis.get(key) }.to_i
end

Add.perform_async("sum", 1)
Urgent.perform_async("sum", 2)
until_true("jobs of two queues") { value("sum") == 3 }

Add.perform_bulk((1..50).map { |number| ["bulk", number] })
until_true("a bulk") { value("bulk") == 1275 }

Add.perform_in(0.5, "later", 7)
until_true("a job in half a second") { value("later") == 7 }

FailsTwice.perform_async("attempts")
retries = Sidekiq::RetrySet.new
until_true("retries, by hand") do
  retries.each(&:retry) # Sidekiq itself would wait for some seconds
  value("attempts") == 3
end

Fails.perform_async
until_true("failures are counted") { Sidekiq::Stats.new.failed == 3 }

Add.perform_in(3600, "never", 1)
scheduled = Sidekiq::ScheduledSet.new
raise "not scheduled" unless scheduled.size == 1
scheduled.each(&:delete)
raise "still scheduled" unless scheduled.size.zero?
puts "the schedule"

until_true("the process tells of itself") { Sidekiq::ProcessSet.new.size == 1 }
Sidekiq::ProcessSet.new.each(&:quiet!)
until_true("a process is told to be quiet") { Sidekiq::ProcessSet.new.all?(&:stopping?) }

Add.perform_async("left", 1)
queue = Sidekiq::Queue.new
raise "not enqueued" unless queue.size == 1 && queue.map(&:klass) == ["Add"]
queue.clear
raise "not cleared" unless queue.size.zero?
puts "a queue is read and cleared"

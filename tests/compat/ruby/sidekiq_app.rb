# A Sidekiq application: a job, retries, a failing job. Configured by the environment.

require "sidekiq"

REDIS = { url: ENV.fetch("REDIS_URL") }.freeze
Sidekiq.configure_server do |config|
  config.redis = REDIS
  config.options[:poll_interval_average] = 0.5
end
Sidekiq.configure_client { |config| config.redis = REDIS }

class Add
  include Sidekiq::Worker

  def perform(key, number)
    Sidekiq.redis { |redis| redis.incrby(key, number) }
  end
end

class Urgent < Add
  sidekiq_options queue: "urgent"
end

class FailsTwice
  include Sidekiq::Worker
  sidekiq_options retry: 3
  sidekiq_retry_in { 0 }

  def perform(key)
    raise "on purpose" if Sidekiq.redis { |redis| redis.incr(key) } < 3
  end
end

class Fails
  include Sidekiq::Worker
  sidekiq_options retry: 0

  def perform
    raise "on purpose"
  end
end

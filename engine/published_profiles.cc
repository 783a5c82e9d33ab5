#include "engine/published_profiles.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>

#include "schema/bobbin_generated.h"

namespace bobbin {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using Slot = LockSegment::Profile;

std::string Pack(const TransportProfile& profile) {
  FlatBufferBuilder builder(1024);
  std::vector<Offset<schema::TransportEntry>> transports;
  for (const TransportEntry& entry : profile.transports) {
    std::vector<Offset<schema::PreprocessorMatch>> preprocessors;
    for (const PreprocessorMatch& match : entry.preprocessors) {
      const auto uid = builder.CreateString(match.uid);
      const auto address_type = builder.CreateString(match.address_type);
      preprocessors.push_back(schema::CreatePreprocessorMatch(builder, uid, address_type));
    }
    const auto types = builder.CreateVectorOfStrings(entry.address_types);
    const auto uids = builder.CreateVectorOfStrings(entry.uids);
    const auto matches = builder.CreateVector(preprocessors);
    transports.push_back(
        schema::CreateTransportEntry(builder, entry.any_address_type, types, uids, matches));
  }
  const auto entries = builder.CreateVector(transports);
  builder.Finish(schema::CreateTransportProfile(builder, entries, profile.has_outbound_hooks));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

template <class Vector>
std::vector<std::string> Strings(const Vector* vector) {
  std::vector<std::string> strings;
  if (vector == nullptr) return strings;
  for (const flatbuffers::String* text : *vector) strings.push_back(text->str());
  return strings;
}

// Null when the bytes are not a profile: another process wrote them, so they are not trusted.
std::shared_ptr<const TransportProfile> Unpack(const std::vector<std::uint64_t>& words,
                                               std::size_t bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(words.data());
  flatbuffers::Verifier verifier(data, bytes);
  if (!verifier.VerifyBuffer<schema::TransportProfile>(nullptr)) return nullptr;
  const auto* packed = flatbuffers::GetRoot<schema::TransportProfile>(data);
  auto profile = std::make_shared<TransportProfile>();
  profile->has_outbound_hooks = packed->has_outbound_hooks();
  if (packed->transports() == nullptr) return profile;
  for (const schema::TransportEntry* from : *packed->transports()) {
    TransportEntry entry;
    entry.any_address_type = from->any_address_type();
    entry.address_types = Strings(from->address_types());
    entry.uids = Strings(from->uids());
    if (from->preprocessors() != nullptr) {
      for (const schema::PreprocessorMatch* match : *from->preprocessors()) {
        entry.preprocessors.push_back(
            {match->uid() != nullptr ? match->uid()->str() : std::string(),
             match->address_type() != nullptr ? match->address_type()->str() : std::string()});
      }
    }
    profile->transports.push_back(std::move(entry));
  }
  return profile;
}

class SharedProfiles final : public TransportProfiles {
 public:
  explicit SharedProfiles(std::shared_ptr<LockSegment> segment) : segment_(std::move(segment)) {}

  Result<void> Publish(LockSession session, const TransportProfile& profile) override {
    const std::string packed = Pack(profile);
    if (packed.size() > kProfileBytesMax) {
      return Fail(ErrorCode::kTooBig,
                  "the transports' address types and preprocessors take more "
                  "than " +
                      std::to_string(kProfileBytesMax) + " bytes");
    }
    const SegmentGuard guard(*segment_);
    Slot* slot = SlotFor(session);
    if (slot == nullptr) {
      return Fail(ErrorCode::kNotEnoughResources,
                  "too many spoolers have published their transports for this database");
    }
    slot->owner.store(0);
    std::memcpy(slot->packed.data(), packed.data(), packed.size());
    slot->bytes = static_cast<std::uint32_t>(packed.size());
    slot->generation = segment_->profile_generation.load() + 1;
    slot->owner.store(session.value);
    segment_->profile_generation.fetch_add(1);
    return {};
  }

  std::shared_ptr<const TransportProfile> Current() override {
    const std::uint32_t generation = segment_->profile_generation.load();
    if (generation == 0) return nullptr;
    const std::lock_guard lock(mutex_);
    if (generation != seen_generation_ || (seen_owner_ != 0 && !IsOpen(seen_owner_))) {
      Read();
      seen_generation_ = generation;
    }
    return seen_;
  }

 private:
  // Its own, a free one, or that of a session that is gone.
  Slot* SlotFor(LockSession session) {
    Slot* free = nullptr;
    for (Slot& slot : segment_->profiles) {
      const std::uint64_t owner = slot.owner.load();
      if (owner == session.value) return &slot;
      if (free == nullptr && !IsOpen(owner)) free = &slot;
    }
    if (free != nullptr) return free;
    ForgetDeadSessions(*segment_);
    const auto found = std::ranges::find_if(
        segment_->profiles, [this](const Slot& slot) { return !IsOpen(slot.owner.load()); });
    return found == segment_->profiles.end() ? nullptr : &*found;
  }

  // Says nothing of a session whose process was killed: its profile counts until somebody sees
  // the death. What it makes a submission say, any spooler can act on.
  bool IsOpen(std::uint64_t owner) const {
    return owner != 0 && segment_->sessions[owner % kLockSessionsMax].id.load() == owner;
  }

  void Read() {
    const SegmentGuard guard(*segment_);
    const Slot* last = nullptr;
    for (const Slot& slot : segment_->profiles) {
      const std::uint64_t owner = slot.owner.load();
      if (!IsOpen(owner) || !IsSessionAlive(segment_->sessions[owner % kLockSessionsMax])) continue;
      if (last == nullptr || slot.generation > last->generation) last = &slot;
    }
    seen_ = nullptr;
    seen_owner_ = last != nullptr ? last->owner.load() : 0;
    if (last == nullptr || last->bytes > kProfileBytesMax) return;
    std::vector<std::uint64_t> words(last->bytes / sizeof(std::uint64_t) + 1);
    std::memcpy(words.data(), last->packed.data(), last->bytes);
    seen_ = Unpack(words, last->bytes);
  }

  std::shared_ptr<LockSegment> segment_;
  std::mutex mutex_;
  std::uint32_t seen_generation_ = 0;
  std::uint64_t seen_owner_ = 0;
  std::shared_ptr<const TransportProfile> seen_;
};

}  // namespace

std::shared_ptr<TransportProfiles> ShareProfiles(std::shared_ptr<LockSegment> segment) {
  return std::make_shared<SharedProfiles>(std::move(segment));
}

}  // namespace bobbin

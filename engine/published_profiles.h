// Transport profiles in the shared segment. Internal to engine/.
#pragma once

#include <memory>

#include "engine/lock_segment.h"
#include "engine/transport_profile.h"

namespace bobbin {

std::shared_ptr<TransportProfiles> ShareProfiles(std::shared_ptr<LockSegment> segment);

}  // namespace bobbin

// Who owns GMime's objects. Internal to spooler/.
#pragma once

#include <gmime/gmime.h>

#include <memory>

namespace bobbin {

struct UnrefObject {
  template <class T>
  void operator()(T* object) const {
    g_object_unref(object);
  }
};
template <class T>
using Owned = std::unique_ptr<T, UnrefObject>;

struct FreeText {
  void operator()(char* text) const { g_free(text); }
};
using OwnedText = std::unique_ptr<char, FreeText>;

}  // namespace bobbin
